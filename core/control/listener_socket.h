/* SPDX-License-Identifier: GPL-3.0-or-later */
/* System calls on listening sockets, for listener.c. Control thread. Errors are -errno, and a sentence in error[0..size). */
#ifndef FAIRLEAD_CONTROL_LISTENER_SOCKET_H
#define FAIRLEAD_CONTROL_LISTENER_SOCKET_H

#include "config/config.h"

/* A new socket that listens. Returns it, or -errno. */
int socket_open(const struct listen *listen, const struct engine_settings *engine, char *error, size_t size)
    __attribute__((warn_unused_result));
/* For a socket from outside what socket_open sets and can still be set. */
void socket_adopt(int fd, const struct server_address *address, const struct engine_settings *engine);
/* A port that somebody else holds would be shared silently because of SO_REUSEPORT (same user): asked for once without it. */
int socket_check_free(const struct listen *listen, char *error, size_t size) __attribute__((warn_unused_result));
/* The address of a socket that must be a stream socket and listen. */
int socket_describe(int fd, struct server_address *address, char *error, size_t size)
    __attribute__((warn_unused_result));
bool socket_shares_port(int fd); /* others may be opened beside it */
int socket_listen(int fd, int backlog);
int socket_drop_syns(int fd);
int socket_pass_syns(int fd);

/* Both sockets would be for one port, and an address of one is an address of the other. */
bool socket_overlap(const struct server_address *a, const struct server_address *b);

#endif
