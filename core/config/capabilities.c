/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of names; see capabilities.h. A kernel may know fewer, which is found out when they are asked
 * for. */
#include "config/capabilities.h"
#include "config/document.h"
#include "config/load.h"
#include "config/nearest.h"

#include <linux/capability.h>
#include <strings.h>

#define PREFIX "cap_"

static const char *const names[] = {
    [CAP_CHOWN] = "chown",
    [CAP_DAC_OVERRIDE] = "dac_override",
    [CAP_DAC_READ_SEARCH] = "dac_read_search",
    [CAP_FOWNER] = "fowner",
    [CAP_FSETID] = "fsetid",
    [CAP_KILL] = "kill",
    [CAP_SETGID] = "setgid",
    [CAP_SETUID] = "setuid",
    [CAP_SETPCAP] = "setpcap",
    [CAP_LINUX_IMMUTABLE] = "linux_immutable",
    [CAP_NET_BIND_SERVICE] = "net_bind_service",
    [CAP_NET_BROADCAST] = "net_broadcast",
    [CAP_NET_ADMIN] = "net_admin",
    [CAP_NET_RAW] = "net_raw",
    [CAP_IPC_LOCK] = "ipc_lock",
    [CAP_IPC_OWNER] = "ipc_owner",
    [CAP_SYS_MODULE] = "sys_module",
    [CAP_SYS_RAWIO] = "sys_rawio",
    [CAP_SYS_CHROOT] = "sys_chroot",
    [CAP_SYS_PTRACE] = "sys_ptrace",
    [CAP_SYS_PACCT] = "sys_pacct",
    [CAP_SYS_ADMIN] = "sys_admin",
    [CAP_SYS_BOOT] = "sys_boot",
    [CAP_SYS_NICE] = "sys_nice",
    [CAP_SYS_RESOURCE] = "sys_resource",
    [CAP_SYS_TIME] = "sys_time",
    [CAP_SYS_TTY_CONFIG] = "sys_tty_config",
    [CAP_MKNOD] = "mknod",
    [CAP_LEASE] = "lease",
    [CAP_AUDIT_WRITE] = "audit_write",
    [CAP_AUDIT_CONTROL] = "audit_control",
    [CAP_SETFCAP] = "setfcap",
    [CAP_MAC_OVERRIDE] = "mac_override",
    [CAP_MAC_ADMIN] = "mac_admin",
    [CAP_SYSLOG] = "syslog",
    [CAP_WAKE_ALARM] = "wake_alarm",
    [CAP_BLOCK_SUSPEND] = "block_suspend",
    [CAP_AUDIT_READ] = "audit_read",
    [CAP_PERFMON] = "perfmon",
    [CAP_BPF] = "bpf",
    [CAP_CHECKPOINT_RESTORE] = "checkpoint_restore",
};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

const char *capabilities_write(uint64_t set, char text[static CAPABILITIES_TEXT_MAX])
{
    size_t len = 0;

    snprintf(text, CAPABILITIES_TEXT_MAX, "none");
    for (size_t i = 0; i < N_NAMES && len < CAPABILITIES_TEXT_MAX; i++)
        if (set >> i & 1)
            len += (size_t)snprintf(text + len, CAPABILITIES_TEXT_MAX - len, "%s%s", len > 0 ? "," : "",
                                    names[i]);
    return text;
}

static void read_name(struct loader *loader, const struct node *node)
{
    const char *name = node->string;
    struct nearest nearest = {.word = name};

    if (strncasecmp(name, PREFIX, sizeof PREFIX - 1) == 0)
        nearest.word = name += sizeof PREFIX - 1;
    for (size_t i = 0; i < N_NAMES; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            loader->config->capabilities |= UINT64_C(1) << i;
            return;
        }
        nearest_offer(&nearest, names[i]);
    }
    if (nearest.best != NULL)
        errors_add(loader->errors, node->place, "there is no capability \"%s\"; did you mean \"%s\"?",
                   node->string, nearest.best);
    else
        errors_add(loader->errors, node->place, "there is no capability \"%s\": capabilities(7) lists them",
                   node->string);
}

void capabilities_read(struct loader *loader, const struct node *root)
{
    const struct node *node = node_member(root, "capabilities");

    if (node == NULL)
        return;
    const struct node *nodes = node->kind == NODE_LIST ? node->children : node;
    for (size_t i = 0; i < (node->kind == NODE_LIST ? node->n : 1); i++)
        if (nodes[i].kind == NODE_STRING)
            read_name(loader, &nodes[i]);
}

void capabilities_print(uint64_t set, FILE *out)
{
    const char *separator = "";

    if (set == 0)
        return;
    fputs("capabilities = [", out);
    for (size_t i = 0; i < N_NAMES; i++) {
        if (!(set >> i & 1))
            continue;
        fprintf(out, "%s \"%s\"", separator, names[i]);
        separator = ",";
    }
    fputs(" ];\n", out);
}
