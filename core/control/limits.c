/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Limits; see limits.h. Locked memory matters to rings on kernels before 5.12 only, which Fairlead does not
 * run on, and to buffers that are registered, of which it has none: so nothing is computed for it, and it is
 * told for whoever looks for a cause.
 */
#include "control/limits.h"

#include "engine/log.h"

#include <inttypes.h>
#include <sys/resource.h>

#define FILES_BESIDES 256u /* rings, logs, listeners, libraries */

/* A client costs a descriptor, and so does its server's side, and so does a health check. */
uint64_t limits_files_needed(const struct config *config)
{
    return (uint64_t)config->workers * config->worker_connections * 2 + config->health_probes + FILES_BESIDES;
}

uint64_t limits_clients(const struct config *config, uint64_t files)
{
    uint64_t besides = (uint64_t)config->health_probes + FILES_BESIDES;

    return files > besides ? (files - besides) / 2 : 0;
}

static uint64_t files_wanted(const struct config *config)
{
    return config->rlimit_files ? config->rlimit_files : limits_files_needed(config);
}

/* To `wanted`, or as near to it as is allowed. Less than there is, is set only when the operator named it. */
static void set(__rlimit_resource_t resource, uint64_t wanted, bool exactly)
{
    struct rlimit limit, asked = {.rlim_cur = wanted, .rlim_max = wanted};

    if (getrlimit(resource, &limit) != 0 || (limit.rlim_cur >= wanted && !exactly))
        return;
    if (limit.rlim_max >= wanted)
        asked.rlim_max = limit.rlim_max;
    if (setrlimit(resource, &asked) == 0)
        return;
    limit.rlim_cur = limit.rlim_max; /* only root may raise that */
    (void)setrlimit(resource, &limit);
}

void limits_raise(const struct config *config)
{
    set(RLIMIT_NOFILE, files_wanted(config), config->rlimit_files != 0);
    if (config->rlimit_memlock)
        set(RLIMIT_MEMLOCK, config->rlimit_memlock, true);
}

static const char *write_limit(rlim_t limit, char text[static 24])
{
    snprintf(text, 24, limit == RLIM_INFINITY ? "unlimited" : "%llu", (unsigned long long)limit);
    return text;
}

void limits_report(const struct config *config)
{
    struct rlimit files = {0}, memory = {0};
    uint64_t needed = limits_files_needed(config), wanted = files_wanted(config);
    char texts[2][24];

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || getrlimit(RLIMIT_MEMLOCK, &memory) != 0)
        return;
    log_write(LOG_NOTICE, "limits files=%s memlock=%s wanted=%" PRIu64, write_limit(files.rlim_cur, texts[0]),
              write_limit(memory.rlim_cur, texts[1]), wanted);
    if (files.rlim_cur < needed)
        log_write(LOG_WARNING,
                  "fewer open files than all clients need, so not all fit files=%llu needed=%" PRIu64
                  " clients_that_fit=%" PRIu64 " clients_configured=%" PRIu64
                  " remedy=\"LimitNOFILE= of the service, ulimit -n, or fewer worker_connections\"",
                  (unsigned long long)files.rlim_cur, needed, limits_clients(config, files.rlim_cur),
                  (uint64_t)config->workers * config->worker_connections);
    if (memory.rlim_cur < config->rlimit_memlock)
        log_write(LOG_WARNING,
                  "less locked memory than rlimit_memlock memlock=%llu wanted=%" PRIu64
                  " remedy=\"LimitMEMLOCK= of the service\"",
                  (unsigned long long)memory.rlim_cur, config->rlimit_memlock);
}
