/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Accepting; see acceptor.h. A multishot accept ends with every error: it is armed again at once, or after the back-off. Connections that the kernel
 * handed out before a cancellation took hold come as completions before the last one, which alone has no F_MORE; all of them are the owner's.
 */
#include "engine/acceptor.h"

#include "engine/log.h"

#include <errno.h>
#include <string.h>

static bool flush(struct actor *actor)
{
    struct acceptor *acceptor = (struct acceptor *)actor;
    bool wanted = !acceptor->paused && !acceptor->stopped && !timer_is_set(&acceptor->backoff);

    if (acceptor->stopped && actor->in_flight == 0) {
        ring_remove(acceptor->worker->ring, actor);
        if (acceptor->on_stopped)
            acceptor->on_stopped(acceptor);
        return true;
    }
    if (wanted && !acceptor->armed) {
        acceptor->armed = ring_accept(acceptor->worker->ring, actor, acceptor->fd);
        return acceptor->armed;
    }
    /* The cancellation may find nothing, when the accept has just ended by itself: that does no harm. */
    if ((!wanted || acceptor->anew) && acceptor->armed && !acceptor->cancelling) {
        acceptor->cancelling = ring_cancel(acceptor->worker->ring, actor, RING_ACCEPT);
        return acceptor->cancelling;
    }
    return true;
}

static void back_off(struct acceptor *acceptor, int error)
{
    static _Thread_local struct log_limit limit;

    acceptor->failed++;
    log_write_limited(&limit, 1, LOG_ERR, "cannot accept error=\"%s\" retry_ms=%u", strerror(-error),
                      ACCEPTOR_BACKOFF_MS);
    timer_set(&acceptor->worker->timers, &acceptor->backoff, acceptor->worker->now_ms + ACCEPTOR_BACKOFF_MS);
}

static bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

static void complete(struct actor *actor, const struct completion *completion)
{
    struct acceptor *acceptor = (struct acceptor *)actor;
    int result = completion->result;

    if (completion->operation == RING_CANCEL) {
        acceptor->cancelling = false;
        ring_mark(acceptor->worker->ring, actor);
        return;
    }
    if (!completion->more) {
        acceptor->armed = acceptor->anew = false;
        ring_mark(acceptor->worker->ring, actor);
    }
    if (result >= 0) {
        acceptor->accepted++;
        acceptor->on_accept(acceptor, result);
    } else if (is_shortage(result)) {
        back_off(acceptor, result);
    } else if (!acceptor->stopped && result != -ECANCELED && result != -ECONNABORTED && result != -EINTR) {
        /* Not of the usual ones: never in a tight loop. */
        back_off(acceptor, result);
    }
}

static const struct actor_type acceptor_type = {complete, flush};

static void resume(struct timer *timer)
{
    struct acceptor *acceptor = (struct acceptor *)((char *)timer - offsetof(struct acceptor, backoff));

    ring_mark(acceptor->worker->ring, &acceptor->actor);
}

bool acceptor_start(struct acceptor *acceptor, struct worker *worker, int fd)
{
    acceptor->worker = worker;
    acceptor->fd = fd;
    timer_init(&acceptor->backoff, resume);
    if (!ring_add(worker->ring, &acceptor->actor, &acceptor_type))
        return false;
    ring_mark(worker->ring, &acceptor->actor);
    return true;
}

void acceptor_pause(struct acceptor *acceptor, bool paused)
{
    if (acceptor->paused == paused || acceptor->stopped)
        return;
    acceptor->paused = paused;
    ring_mark(acceptor->worker->ring, &acceptor->actor);
}

/* Arming begins with an attempt, whoever was woken before. */
void acceptor_rearm(struct acceptor *acceptor)
{
    if (acceptor->stopped || !acceptor->armed)
        return;
    acceptor->anew = true;
    ring_mark(acceptor->worker->ring, &acceptor->actor);
}

void acceptor_stop(struct acceptor *acceptor)
{
    if (acceptor->stopped)
        return;
    acceptor->stopped = true;
    timer_stop(&acceptor->worker->timers, &acceptor->backoff);
    ring_mark(acceptor->worker->ring, &acceptor->actor);
}
