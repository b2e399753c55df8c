/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See listener_socket.h. What is set on the listener is inherited by every connection: no call per connection. */
#include "control/listener_socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : -errno;
}

static int get(int fd, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -errno;
}

static int set_options(int fd, const struct listen *listen, const struct engine_settings *engine)
{
    int family = listen->address.sa.sa_family;
    int error = 0;

    if (family != AF_UNIX) {
        error = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (!error)
            error = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (!error)
            error = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (!error && family == AF_INET6)
        error = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (!error && engine->socket_send_buffer > 0)
        error = set(fd, SOL_SOCKET, SO_SNDBUF, (int)engine->socket_send_buffer);
    return error;
}

static int fail(const char *what, const struct listen *listen, int code, char *error, size_t size)
{
    snprintf(error, size, "%s %s failed (%d: %s)", what, listen->name, code, strerror(code));
    return -code;
}

int socket_listen(int fd, int backlog)
{
    return listen(fd, backlog) == 0 ? 0 : -errno;
}

int socket_open(const struct listen *listen, const struct engine_settings *engine, char *error, size_t size)
{
    int fd = socket(listen->address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code;

    if (fd < 0)
        return fail("socket() for", listen, errno, error, size);
    code = -set_options(fd, listen, engine);
    if (code) {
        close(fd);
        return fail("setsockopt() for", listen, code, error, size);
    }
    if (bind(fd, &listen->address.sa, listen->address.len) != 0) {
        code = errno;
        close(fd);
        return fail("bind() to", listen, code, error, size);
    }
    if (listen->address.sa.sa_family == AF_UNIX)
        (void)chmod(listen->address.un.sun_path, 0666);
    code = -socket_listen(fd, listen->backlog);
    if (code) {
        close(fd);
        return fail("listen() on", listen, code, error, size);
    }
    return fd;
}

void socket_adopt(int fd, const struct server_address *address, const struct engine_settings *engine)
{
    if (address->sa.sa_family != AF_UNIX)
        (void)set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (engine->socket_send_buffer > 0)
        (void)set(fd, SOL_SOCKET, SO_SNDBUF, (int)engine->socket_send_buffer);
}

/* A socket file that nobody listens on is left over from a process that was killed: it may go. */
static void remove_stale(const struct listen *listen)
{
    struct stat status;
    int fd;

    if (lstat(listen->address.un.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    /* Not to wait: a queue that is full has somebody behind it. */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, &listen->address.sa, listen->address.len) != 0 && errno == ECONNREFUSED)
        unlink(listen->address.un.sun_path);
    close(fd);
}

int socket_check_free(const struct listen *listen, char *error, size_t size)
{
    int fd, code = 0;

    if (listen->address.sa.sa_family == AF_UNIX) {
        remove_stale(listen);
        return 0;
    }
    fd = socket(listen->address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail("socket() for", listen, errno, error, size);
    (void)set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (listen->address.sa.sa_family == AF_INET6)
        (void)set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (bind(fd, &listen->address.sa, listen->address.len) != 0)
        code = errno;
    close(fd);
    return code ? fail("bind() to", listen, code, error, size) : 0;
}

/* IP, or a path that ends within its field; not an abstract name. */
static bool is_usable(const struct sockaddr_storage *found)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)found;

    if (found->ss_family == AF_UNIX)
        return un->sun_path[0] != '\0' && strnlen(un->sun_path, sizeof(un->sun_path)) < sizeof(un->sun_path);
    return found->ss_family == AF_INET || found->ss_family == AF_INET6;
}

int socket_describe(int fd, struct server_address *address, char *error, size_t size)
{
    struct sockaddr_storage found = {0};
    socklen_t len = sizeof(found);
    int type = get(fd, SO_TYPE), listening = get(fd, SO_ACCEPTCONN);

    if (type < 0) {
        snprintf(error, size, "descriptor %d is no socket (%d: %s)", fd, -type, strerror(-type));
        return type;
    }
    if (type != SOCK_STREAM || listening != 1) {
        snprintf(error, size, "descriptor %d is not a stream socket that listens", fd);
        return -EINVAL;
    }
    if (getsockname(fd, (struct sockaddr *)&found, &len) != 0) {
        snprintf(error, size, "getsockname() of descriptor %d failed (%d: %s)", fd, errno, strerror(errno));
        return -EINVAL;
    }
    if (!is_usable(&found)) {
        snprintf(error, size, "descriptor %d listens on an address that is neither IP nor a path", fd);
        return -EAFNOSUPPORT;
    }
    *address = (struct server_address){.len = len < sizeof(address->un) ? len : sizeof(address->un)};
    memcpy(&address->sa, &found, address->len);
    return 0;
}

bool socket_shares_port(int fd)
{
    return get(fd, SO_REUSEPORT) == 1;
}

/*
 * What TCP hands to a listener's filter begins with the TCP header. Flags are byte 13: SYN (2) without ACK (16) asks for a new connection. Accepted
 * sockets inherit the filter, and it passes all that they ever get.
 */
int socket_drop_syns(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0 ? 0 : -errno;
}

int socket_pass_syns(int fd)
{
    return set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

static bool is_any(const struct server_address *address)
{
    if (address->sa.sa_family == AF_INET)
        return address->in.sin_addr.s_addr == htonl(INADDR_ANY);
    return IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
}

/* The port is at the same place in both families. */
bool socket_overlap(const struct server_address *a, const struct server_address *b)
{
    if (a->sa.sa_family != b->sa.sa_family || a->sa.sa_family == AF_UNIX || a->in.sin_port != b->in.sin_port)
        return false;
    return is_any(a) || is_any(b) || server_address_equals(a, b);
}
