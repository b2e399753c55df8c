/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Giving up what root may do; see privileges.h. The order is the kernel's: the bounding set while CAP_SETPCAP
 * is there, groups before the user, capabilities kept across the change of user by PR_SET_KEEPCAPS and raised
 * as ambient ones after it (which the change clears). System calls of capset(2) directly: libcap would be one
 * more library for three calls.
 */
#include "control/privileges.h"
#include "control/identity.h"

#include "config/capabilities.h"
#include "engine/log.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void warn(struct privileges_told *told, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void warn(struct privileges_told *told, const char *format, ...)
{
    va_list arguments;

    if (told->n == PRIVILEGES_WARNINGS)
        return;
    va_start(arguments, format);
    vsnprintf(told->warnings[told->n++], sizeof(told->warnings[0]), format, arguments);
    va_end(arguments);
}

/* What the permitted set holds; all of it in the effective one is not asked for. */
static uint64_t held_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    if (syscall(SYS_capget, &header, data) != 0)
        return 0;
    return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

static int set_capabilities(uint64_t set)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    uint32_t low = (uint32_t)set, high = (uint32_t)(set >> 32);
    struct __user_cap_data_struct data[2] = {{low, low, low}, {high, high, high}};

    return syscall(SYS_capset, &header, data) == 0 ? 0 : -errno;
}

/* Takes out of the bounding set what is not wanted. Without CAP_SETPCAP that cannot be, and no_new_privs does
 * as much. */
static void limit_bounds(uint64_t wanted)
{
    for (unsigned long i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
        if (!(wanted >> i & 1))
            (void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
}

static int raise_ambient(uint64_t wanted)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return -errno;
    for (unsigned long i = 0; i < 64; i++)
        if ((wanted >> i & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) != 0)
            return -errno;
    return 0;
}

static int fail(char *error, size_t size, const char *what, const char *remedy)
{
    int code = errno;

    snprintf(error, size, "%s failed (%d: %s): %s", what, code, strerror(code), remedy);
    return code ? -code : -EPERM;
}

static int change_root(const struct identity *identity, const char *directory, char *error, size_t size)
{
    int result = identity_check_root(identity, directory, error, size);

    if (result != 0)
        return result;
    if (chroot(directory) != 0 || chdir("/") != 0)
        return fail(error, size, "chroot()",
                    "it needs CAP_SYS_CHROOT, which containers may not have; leave out \"chroot\" there");
    return 0;
}

static int change_user(const struct identity *identity, bool keep, char *error, size_t size)
{
    if (identity_take_groups(identity) != 0)
        return fail(
            error, size, "setgid()",
            "it needs CAP_SETGID; start as that user where root may not change it, and leave out \"user\"");
    if (prctl(PR_SET_KEEPCAPS, keep ? 1L : 0L, 0, 0, 0) != 0 ||
        setresuid(identity->uid, identity->uid, identity->uid) != 0)
        return fail(
            error, size, "setuid()",
            "it needs CAP_SETUID; start as that user where root may not change it, and leave out \"user\"");
    return 0;
}

/* From here on the process has the capabilities of `wanted` and no others. */
static int keep_only(uint64_t wanted, char *error, size_t size)
{
    int result = set_capabilities(wanted);

    if (result == 0)
        result = raise_ambient(wanted);
    if (result != 0) {
        errno = -result;
        return fail(error, size, "capset()",
                    "the capabilities could not be given up; leave out \"capabilities\"");
    }
    return 0;
}

/* Trust in system calls that said 0 is not enough here. */
static int verify(const struct identity *identity, uint64_t wanted, char *error, size_t size)
{
    uid_t uids[3];
    gid_t gids[3];
    bool right = getresuid(&uids[0], &uids[1], &uids[2]) == 0 && getresgid(&gids[0], &gids[1], &gids[2]) == 0;

    for (size_t i = 0; i < 3; i++)
        right = right && uids[i] == identity->uid && gids[i] == identity->gid;
    /* Who kept CAP_SETUID asked for the way back. */
    if (identity->uid != 0 && !(wanted >> CAP_SETUID & 1))
        right = right && setuid(0) != 0;
    right = right && held_capabilities() == wanted && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
    if (right)
        return 0;
    snprintf(error, size,
             "the privileges of root were not given up, though every call said so: this kernel or container "
             "cannot be trusted");
    return -EPERM;
}

/* Root, or who may act as root, with a user to become. */
static int drop(const struct config *config, const struct identity *identity, uint64_t wanted, char *error,
                size_t size)
{
    int result = 0;

    if (config->chroot)
        result = change_root(identity, config->chroot, error, size);
    limit_bounds(wanted);
    if (result == 0)
        result = change_user(identity, wanted != 0, error, size);
    return result;
}

static void warn_of_user(const struct config *config, const struct identity *identity,
                         struct privileges_told *told)
{
    if (config->user == NULL && geteuid() == 0)
        warn(told,
             "running as root: set \"user\", so that a fault in the proxy is not one of the whole machine");
    else if (config->user != NULL && geteuid() != 0 && identity->uid != geteuid())
        warn(told, "\"user\" has no effect, as the start was not as root user=%s", config->user);
    if (config->chroot != NULL && geteuid() != 0)
        warn(told, "\"chroot\" has no effect, as the start was not as root chroot=%s", config->chroot);
}

/* Else the user could not open them again when they are not renamed. */
static void give_logs(const struct config *config, const struct identity *identity,
                      struct privileges_told *told)
{
    const char *const paths[] = {config->log.access, config->log.error};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int result = identity_give(identity, paths[i]);

        if (result != 0)
            warn(told, "cannot be given to the user path=%s user=%s error=\"%s\"", paths[i], identity->user,
                 strerror(-result));
    }
}

static bool has_names(const struct config *config)
{
    for (size_t i = 0; i < config->n_groups; i++)
        for (size_t k = 0; k < config->groups[i]->n_members; k++)
            if (config->groups[i]->members[k].named)
                return true;
    return false;
}

/* What the process opens again later is looked up inside. */
static void warn_of_root(const struct config *config, struct privileges_told *told)
{
    const char *const paths[] = {config->log.access, config->log.error, config->pid_file,
                                 config->resolver.n_servers == 0 && has_names(config) ? "/etc/resolv.conf"
                                                                                        : NULL};

    for (size_t i = 0; config->chroot && i < sizeof(paths) / sizeof(paths[0]); i++)
        if (paths[i] && paths[i][0] == '/' && access(paths[i], F_OK) != 0)
            warn(told, "not to be found inside the chroot, so it cannot be opened or removed there path=%s",
                 paths[i]);
}

static void tell(const struct identity *identity, const char *capabilities, struct privileges_told *told)
{
    snprintf(told->line, sizeof(told->line),
             "privileges user=%s group=%s uid=%u gid=%u groups=%zu capabilities=%s no_new_privs=1",
             identity->user, identity->group, identity->uid, identity->gid, identity->n_groups, capabilities);
}

int privileges_check(const struct config *config, char *error, size_t size)
{
    struct identity identity;
    int result = identity_find(config->user, config->group, &identity, error, size);

    if (geteuid() != 0) /* then neither has an effect, and the start says so */
        return 0;
    if (result == 0 && config->chroot)
        result = identity_check_root(&identity, config->chroot, error, size);
    return result;
}

int privileges_drop(const struct config *config, struct privileges_told *told, char *error, size_t size)
{
    bool root = geteuid() == 0, changes = root && config->user,
         stays = root && !config->user && !config->capabilities;
    uint64_t held = held_capabilities(), wanted = stays ? held : config->capabilities & held;
    struct identity identity = {0};
    char text[CAPABILITIES_TEXT_MAX];
    int result = identity_find(config->user, config->group, &identity, error, size);

    bool is_already = config->user && result == 0 && !root && identity.uid == geteuid();

    *told = (struct privileges_told){0};
    if (result != 0 && changes)
        return result;
    warn_of_user(config, &identity, told);
    if (config->capabilities & ~held)
        warn(told, "not started with all the configured capabilities missing=%s",
             capabilities_write(config->capabilities & ~held, text));
    if (changes)
        give_logs(config, &identity, told);
    else
        identity_current(&identity);
    result = changes ? drop(config, &identity, wanted, error, size) : 0;
    if (result == 0 && !stays) {
        if (!changes)
            limit_bounds(wanted);
        result = keep_only(wanted, error, size);
    }
    if (result != 0)
        return result;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail(error, size, "prctl(PR_SET_NO_NEW_PRIVS)", "the kernel is older than 3.5");
    /* A change of user has made the process one that other processes of that user cannot look into, and
     * whether it may dump core is for fs.suid_dumpable to say. One that was started as that user, as by an
     * upgrade, has to say it itself. */
    if (is_already)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (changes)
        warn_of_root(config, told);
    tell(&identity, stays ? "all" : capabilities_write(wanted, text), told);
    return verify(&identity, wanted, error, size);
}

void privileges_report(const struct privileges_told *told)
{
    log_write(LOG_NOTICE, "%s", told->line);
    for (size_t i = 0; i < told->n; i++)
        log_write(LOG_WARNING, "%s", told->warnings[i]);
}
