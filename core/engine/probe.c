/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Probing io_uring; see probe.h. Features are tried on a socket pair, since version numbers lie (backports, containers). */
#include "engine/probe.h"
#include "engine/ring_restrictions.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PROBE_BUFFERS 4u
#define PROBE_SIZE    64u

static int read_number(const char *path, const char *key)
{
    FILE *file = fopen(path, "re");
    char line[256];
    int value = -1;

    if (!file)
        return -1;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, strlen(key)) == 0) {
            value = atoi(line + strlen(key));
            break;
        }
    }
    fclose(file);
    return value;
}

void probe_explain(int error, int disabled, int seccomp, const char *release, char *text, size_t size)
{
    if (error == -EPERM && disabled > 0)
        snprintf(text, size,
                 "io_uring is switched off by the sysctl kernel.io_uring_disabled=%d: set it to 0 (sysctl -w "
                 "kernel.io_uring_disabled=0)%s; kernel %s",
                 disabled, disabled == 1 ? ", or add the user's group to kernel.io_uring_group" : "", release);
    else if ((error == -EPERM || error == -ENOSYS) && seccomp == 2)
        snprintf(text, size,
                 "a seccomp filter refuses io_uring (%s): containers need a profile that allows io_uring_setup, "
                 "io_uring_enter and io_uring_register (docker run --security-opt seccomp=PROFILE); kernel %s",
                 strerror(-error), release);
    else if (error == -ENOSYS || error == -EINVAL)
        snprintf(text, size, "the kernel has no io_uring as Fairlead needs it (%s): 6.1 or newer is needed, this is %s",
                 strerror(-error), release);
    else if (error == -ENOMEM)
        snprintf(text, size, "no memory for an io_uring: raise the memory limit of the service or cgroup; kernel %s",
                 release);
    else if (error == -EMFILE || error == -ENFILE)
        snprintf(text, size, "no file descriptor for an io_uring: raise the limit of open files (ulimit -n); kernel %s",
                 release);
    else
        snprintf(text, size, "io_uring cannot be used: %s; kernel %s", strerror(-error), release);
}

static int make_ring(struct io_uring *ring)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
        .cq_entries = 16,
    };

    return io_uring_queue_init_params(4, ring, &params);
}

static int wait_result(struct io_uring *ring, bool *more)
{
    struct __kernel_timespec timeout = {.tv_sec = 1};
    struct io_uring_cqe *cqe;
    int result = io_uring_submit_and_wait_timeout(ring, &cqe, 1, &timeout, NULL);

    if (result < 0 || io_uring_peek_cqe(ring, &cqe) != 0)
        return result < 0 ? result : -ETIME;
    result = cqe->res;
    *more = cqe->flags & IORING_CQE_F_MORE;
    io_uring_cqe_seen(ring, cqe);
    return result;
}

/* One byte through a socket pair by a multishot receive into a provided ring: 0, -errno of the ring, and *works. */
static int try_recv(struct io_uring *ring, struct io_uring_buf_ring *buffers, char *memory, bool *works)
{
    struct io_uring_buf_reg registration = {.ring_addr = (uintptr_t)buffers, .ring_entries = PROBE_BUFFERS};
    struct io_uring_sqe *sqe;
    int pair[2], error = io_uring_register_buf_ring(ring, &registration, 0);

    if (error)
        return error;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    io_uring_buf_ring_init(buffers);
    for (unsigned i = 0; i < PROBE_BUFFERS; i++)
        io_uring_buf_ring_add(buffers, memory + i * PROBE_SIZE, PROBE_SIZE, (unsigned short)i, PROBE_BUFFERS - 1,
                              (int)i);
    io_uring_buf_ring_advance(buffers, (int)PROBE_BUFFERS);
    sqe = io_uring_get_sqe(ring);
    io_uring_prep_recv_multishot(sqe, pair[0], NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    if (write(pair[1], "x", 1) == 1)
        *works = wait_result(ring, works) == 1 && *works;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static int try_all(struct probe *probe)
{
    struct io_uring_buf_ring *buffers = NULL;
    char memory[PROBE_BUFFERS * PROBE_SIZE];
    struct io_uring ring;
    int error = make_ring(&ring);

    if (error)
        return error;
    if (posix_memalign((void **)&buffers, 4096, 4096) != 0)
        error = -ENOMEM;
    else
        error = try_recv(&ring, buffers, memory, &probe->multishot_recv);
    io_uring_queue_exit(&ring);
    free(buffers);
    /* Multishot accept is older than the oldest kernel that passed so far. */
    probe->multishot_accept = error == 0;
    return error;
}

/* Whether a ring can be kept from all but its own operations. */
static bool try_restrictions(void)
{
    struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED};
    struct io_uring ring;
    bool works;

    if (io_uring_queue_init_params(4, &ring, &params) != 0)
        return false;
    works = ring_restrict(ring.ring_fd) == 0;
    io_uring_queue_exit(&ring);
    return works;
}

int probe_kernel(struct probe *probe, char *refusal, size_t size)
{
    struct utsname name;
    int error;

    *probe = (struct probe){0};
    uname(&name);
    error = try_all(probe);
    if (error) {
        probe_explain(error, read_number("/proc/sys/kernel/io_uring_disabled", ""),
                      read_number("/proc/self/status", "Seccomp:"), name.release, refusal, size);
        return error;
    }
    snprintf(probe->line, sizeof(probe->line),
             "kernel=%s defer_taskrun=yes provided_buffers=yes multishot_accept=%s multishot_recv=%s restrictions=%s", name.release,
             probe->multishot_accept ? "yes" : "no", probe->multishot_recv ? "yes" : "no",
             try_restrictions() ? "yes" : "no");
    return 0;
}
