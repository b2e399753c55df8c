/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The only file that knows libconfig (1.5 is enough). Turns its settings into nodes. Control thread. Never
 * lets libconfig open a file: source.c has put all includes in place. Must not include config/config.h: both
 * have a config_destroy.
 */
#include "config/document.h"

#include <errno.h>
#include <libconfig.h>

static void release(void *config)
{
    config_destroy(config);
}

static enum node_kind kind_of(const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        return NODE_GROUP;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return NODE_INT;
    case CONFIG_TYPE_FLOAT:
        return NODE_FLOAT;
    case CONFIG_TYPE_STRING:
        return NODE_STRING;
    case CONFIG_TYPE_BOOL:
        return NODE_BOOL;
    default:
        return NODE_LIST;
    }
}

/* Recursion is bounded: source.c has counted the brackets. */
static void convert(struct arena *scratch, const struct source *source, const config_setting_t *setting,
                    struct node *node)
{
    const char *name = config_setting_name(setting);

    node->kind = kind_of(setting);
    node->name = name == NULL ? "" : name;
    node->place = source_place(source, config_setting_source_line(setting));
    if (node->kind == NODE_STRING)
        node->string = config_setting_get_string(setting);
    if (node->kind == NODE_INT)
        node->integer = config_setting_get_int64(setting);
    if (node->kind == NODE_BOOL)
        node->integer = config_setting_get_bool(setting);
    if (node->kind != NODE_GROUP && node->kind != NODE_LIST)
        return;
    node->n = (size_t)config_setting_length(setting);
    struct node *children = arena_alloc(scratch, node->n, sizeof *children);
    for (size_t i = 0; i < node->n; i++)
        convert(scratch, source, config_setting_get_elem(setting, (unsigned)i), &children[i]);
    node->children = children;
}

int document_parse(const struct source *source, struct arena *scratch, struct config_errors *errors,
                   const struct node **root)
{
    config_t *config = arena_alloc(scratch, 1, sizeof *config);
    void **slot = arena_slot(scratch, release);
    config_init(config);
    *slot = config;
    /* A directory that cannot be one, should its scanner ever see an include that ours did not. */
    config_set_include_dir(config, "/dev/null");
    if (config_read_string(config, source->text.p) != CONFIG_TRUE) {
        const char *text = config_error_text(config);
        bool vague = text == NULL || strcmp(text, "syntax error") == 0;

        errors_add(errors, source_place(source, (unsigned)config_error_line(config)), "%s",
                   vague ? "syntax error here or just before" : text);
        return -EINVAL;
    }
    struct node *node = arena_alloc(scratch, 1, sizeof *node);
    convert(scratch, source, config_root_setting(config), node);
    *root = node;
    return 0;
}

const struct node *node_member(const struct node *group, const char *name)
{
    if (group == NULL || group->kind != NODE_GROUP)
        return NULL;
    for (size_t i = 0; i < group->n; i++)
        if (strcmp(group->children[i].name, name) == 0)
            return &group->children[i];
    return NULL;
}
