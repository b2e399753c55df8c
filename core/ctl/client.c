/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One question, one answer; see client.h. */
#include "ctl/client.h"

#include "ctl/protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_SIZE 16384u

unsigned ctl_silence_s(const char *request)
{
    size_t len = strcspn(request, " ");

    return len == 6 && memcmp(request, "reload", len) == 0 ? CTL_RELOAD_SILENCE_S : CTL_SILENCE_S;
}

/* What the calls below say when their time is over. */
static int code_of(int code)
{
    return code == EAGAIN ? -ETIMEDOUT : -code;
}

static int open_socket(const char *path, unsigned silence_s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval silence = {.tv_sec = (time_t)silence_s};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence)) != 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int code = errno;

        close(fd);
        return code_of(code);
    }
    return fd;
}

static int send_request(int fd, const char *request)
{
    char line[CTL_REQUEST_MAX];
    size_t len = strlen(request), done = 0;

    if (len + 1 > sizeof(line))
        return -EMSGSIZE;
    memcpy(line, request, len);
    line[len++] = '\n';
    while (done < len) {
        ssize_t n = send(fd, line + done, len - done, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return code_of(errno);
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* To the end of the stream. */
static int receive(int fd, struct ctl_answer *answer)
{
    size_t size = 0;

    for (;;) {
        ssize_t n;

        if (answer->len + 1 >= size) {
            char *text;

            size = size ? size * 2 : FIRST_SIZE;
            text = size <= 2 * CTL_ANSWER_MAX ? realloc(answer->text, size) : NULL;
            if (!text)
                return size <= 2 * CTL_ANSWER_MAX ? -ENOMEM : -EMSGSIZE;
            answer->text = text;
        }
        n = recv(fd, answer->text + answer->len, size - answer->len - 1, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET && answer->len > 0))
            break;
        if (n < 0 && errno != EINTR)
            return code_of(errno);
        answer->len += n > 0 ? (size_t)n : 0;
    }
    answer->text[answer->len] = '\0';
    return 0;
}

/* Takes the first line off. */
static int read_verdict(struct ctl_answer *answer)
{
    size_t skip;

    if (strncmp(answer->text, "ok\n", 3) == 0) {
        skip = 3;
    } else if (strncmp(answer->text, "error ", 6) == 0 && answer->text[answer->len - 1] == '\n') {
        answer->refused = 1;
        answer->text[--answer->len] = '\0';
        skip = 6;
    } else {
        return -EPROTO;
    }
    answer->len -= skip;
    memmove(answer->text, answer->text + skip, answer->len + 1);
    return 0;
}

int ctl_ask(const char *socket_path, const char *request, unsigned silence_s, struct ctl_answer *answer)
{
    int fd = open_socket(socket_path, silence_s), result;

    *answer = (struct ctl_answer){0};
    if (fd < 0)
        return fd;
    result = send_request(fd, request);
    if (!result)
        result = receive(fd, answer);
    if (!result)
        result = read_verdict(answer);
    close(fd);
    if (result) {
        free(answer->text);
        *answer = (struct ctl_answer){0};
    }
    return result;
}
