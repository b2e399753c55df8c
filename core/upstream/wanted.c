/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From records to servers; see wanted.h. */
#include "upstream/wanted.h"
#include "upstream/pool.h"

#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    const struct wanted *a = left, *b = right;

    if (a->backup != b->backup)
        return a->backup ? 1 : -1;
    return server_address_compare(&a->address, &b->address);
}

/* RFC 2782: servers of one priority share by their weights. What weighs nothing shall get little, unless
 * nothing weighs anything. */
static uint32_t share_of(const struct resolve_record *record, uint32_t most)
{
    uint32_t share = most == 0 ? SHARE_WHOLE : (record->weight * SHARE_WHOLE + most / 2) / most;

    return share > 0 ? share : 1;
}

static uint32_t largest_weight(const struct resolve_answer *answer, bool backup)
{
    uint32_t most = 0;

    for (size_t i = 0; i < answer->n; i++)
        if ((answer->records[i].priority != answer->records[0].priority) == backup &&
            answer->records[i].weight > most)
            most = answer->records[i].weight;
    return most;
}

static size_t count(const struct wanted_list *list, bool backup)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++)
        n += list->entries[i].backup == backup;
    return n;
}

void wanted_of_answer(struct wanted_list *list, const struct resolve_answer *answer)
{
    uint32_t most[2] = {largest_weight(answer, false), largest_weight(answer, true)};
    struct wanted all[RESOLVE_RECORDS_MAX];
    size_t room[2] = {list->n_places, list->n_backup};

    list->n = list->n_left_out = 0;
    for (size_t i = 0; i < answer->n; i++) {
        bool backup = answer->records[i].priority != answer->records[0].priority;

        all[i] =
            (struct wanted){answer->records[i].address, share_of(&answer->records[i], most[backup]), backup};
    }
    qsort(all, answer->n, sizeof(all[0]), compare);
    for (size_t i = 0; i < answer->n; i++) {
        size_t *left = &room[all[i].backup];

        if (*left > 0) {
            list->entries[list->n++] = all[i];
            (*left)--;
        } else if (!all[i].backup || list->n_backup > 0) {
            list->n_left_out++;
        }
    }
}

void wanted_keep(struct wanted_list *list, const struct wanted_list *had)
{
    for (size_t i = 0; i < had->n; i++) {
        const struct wanted *entry = &had->entries[i];

        if (wanted_find(list, &entry->address, entry->backup))
            continue;
        if (count(list, entry->backup) < (entry->backup ? list->n_backup : list->n_places))
            list->entries[list->n++] = *entry;
        else
            list->n_left_out++;
    }
    qsort(list->entries, list->n, sizeof(list->entries[0]), compare);
}

const struct wanted *wanted_find(const struct wanted_list *list, const struct server_address *address,
                                 bool backup)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->entries[i].backup == backup &&
            server_address_equals(&list->entries[i].address, address))
            return &list->entries[i];
    return NULL;
}
