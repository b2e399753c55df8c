/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which files the configuration may be made of: those that not everybody can write to (engine/file_safety.h),
 * unless the operator says otherwise. The key `allow_insecure_files` says it for all files but the main one,
 * in which it stands; for that one only the command line can. Private to core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_TRUST_H
#define FAIRLEAD_CONFIG_TRUST_H

#include "config/document.h"
#include "config/load.h"

/* A file or directory was read, and its danger is no other than FILE_SAFE. Added to the findings, at once or
 * by trust_decide. */
void trust_note(struct loader *loader, struct place place, const char *path, enum file_danger danger);

/* The main document has been read: from now on it is known what is allowed. */
void trust_decide(struct loader *loader, const struct node *root);

/* Strategies are code: looks at the module directory and all in it, before any is loaded. One that cannot be
 * read is no finding. */
void trust_modules(struct loader *loader, struct place place, const char *dir);

#endif
