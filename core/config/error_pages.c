/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One page per status; pages from one file share its bytes. Control thread; reads files by the hook.
 */
#include "config/error_pages.h"
#include "config/reader.h"
#include "config/trust.h"

#include <errno.h>

struct page_list {
    size_t n, room, files_room;
    struct error_page *pages; /* both in the snapshot's arena */
    const char **files;
};

static bool read_file(struct loader *loader, const struct node *file, const char *path, struct span *body)
{
    const struct load_hooks *hooks = loader->hooks;
    int result = hooks->read_file(hooks->context, loader->keep, path, LOAD_FILE_BYTES_MAX, body);

    if (result > FILE_SAFE)
        trust_note(loader, file->place, path, (enum file_danger)result);
    if (result >= 0)
        return true;
    errors_add(loader->errors, file->place, "cannot read the error page \"%s\": %s", file->string,
               result == -EFBIG ? "more than 1 MiB" : strerror(-result));
    return false;
}

static void add_page(struct loader *loader, struct place place, struct page_list *list,
                     struct error_page page)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->pages[i].status == page.status) {
            errors_add(loader->errors, place, "a second error page for %d in one site", page.status);
            return;
        }
    }
    list->pages = arena_grow(loader->keep, list->pages, &list->room, list->n + 1, sizeof list->pages[0]);
    list->files =
        arena_grow(loader->keep, list->files, &list->files_room, list->n + 1, sizeof list->files[0]);
    list->pages[list->n] = page;
    list->n++;
}

static void read_page(struct loader *loader, const struct node *group, struct page_list *list)
{
    struct text text = {0};
    struct targets targets = {.at = {[INTO_TEXT] = &text}};
    const struct node *status = node_member(group, "status"), *file = node_member(group, "file");
    struct error_page page = {0};

    reader_defaults(loader, CONTEXT_ERROR_PAGE, &targets);
    reader_group(loader, group, CONTEXT_ERROR_PAGE, &targets, NULL);
    if (text.file == NULL || status == NULL || !read_file(loader, file, text.file, &page.body))
        return;
    page.content_type = text.content_type;
    const struct node *statuses = status->kind == NODE_LIST ? status->children : status;
    for (size_t i = 0; i < (status->kind == NODE_LIST ? status->n : 1); i++) {
        size_t before = list->n;

        if (statuses[i].kind != NODE_INT)
            continue;
        page.status = (int)statuses[i].integer;
        add_page(loader, statuses[i].place, list, page);
        if (list->n > before)
            list->files[before] = text.file;
    }
}

const char **error_pages_read(struct loader *loader, const struct node *group, struct site *site)
{
    struct page_list list = {0};
    struct node nodes = reader_member(group, "error_pages", NODE_LIST);

    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.children[i].kind == NODE_GROUP)
            read_page(loader, &nodes.children[i], &list);
    site->error_pages = list.pages;
    site->n_error_pages = list.n;
    return list.files;
}
