/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state file: text, one change per line, behind a line that names the format.
 *
 *   fairlead-state 1
 *   down web 10.0.0.5:8080
 *   weight web 10.0.0.6:8080 5
 *   add web 10.0.0.7:8080 1 0 primary        (weight, max_conns, "primary" or "backup")
 *   remove web unix:/run/a%20b.sock
 *
 * Words are separated by one space; in names, bytes up to the space, above '~', and '%' are written %NN. It is read strictly: what we did not write is an error, and nothing of it is used.
 */
#include "control/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_LINE "fairlead-state 1"
#define WORDS_MAX  6u
#define LINE_BYTES 2048u /* of one line: two names, each byte escaped, and numbers */

static int value_of_hex(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

static bool must_escape(unsigned char byte)
{
    return byte <= ' ' || byte > '~' || byte == '%';
}

/* Only what write_name writes is read: nothing is escaped without need, and nothing is the NUL. */
static bool read_name(const char *word, char *name, size_t size)
{
    size_t len = 0;

    for (; *word; word++) {
        unsigned char byte = (unsigned char)*word;

        if (len + 1 >= size)
            return false;
        if (byte == '%') {
            int high = value_of_hex(word[1]), low = high < 0 ? -1 : value_of_hex(word[2]);

            if (low < 0 || !must_escape((unsigned char)(high * 16 + low)) || high + low == 0)
                return false;
            byte = (unsigned char)(high * 16 + low);
            word += 2;
        } else if (must_escape(byte)) {
            return false;
        }
        name[len++] = (char)byte;
    }
    name[len] = '\0';
    return len > 0;
}

static void write_name(FILE *file, const char *name)
{
    fputc(' ', file);
    for (; *name; name++) {
        if (must_escape((unsigned char)*name))
            fprintf(file, "%%%02X", (unsigned char)*name);
        else
            fputc(*name, file);
    }
}

/* Digits without a zero in front. */
static bool read_number(const char *word, uint32_t most, uint32_t *number)
{
    size_t len = strlen(word);
    unsigned long long value;

    if (len == 0 || len > 10 || strspn(word, "0123456789") != len || (len > 1 && word[0] == '0'))
        return false;
    value = strtoull(word, NULL, 10);
    *number = (uint32_t)value;
    return value <= most;
}

static int find_kind(const char *word)
{
    for (int kind = 0; kind < CHANGE_N_KINDS; kind++)
        if (strcmp(word, change_word((enum change_kind)kind)) == 0)
            return kind;
    return -1;
}

/* The line's words behind the kind and the names. Returns NULL, or what is wrong. */
static const char *read_values(char *const *word, size_t n, struct change *change)
{
    struct server_address address;
    char name[SERVER_NAME_MAX];
    size_t wanted = change->kind == CHANGE_ADD ? 3 : change->kind == CHANGE_WEIGHT ? 1 : 0;

    if (n != wanted)
        return "has not as many words as it should have";
    if (n > 0 && !read_number(word[0], CHANGE_WEIGHT_MAX, &change->weight))
        return "has no weight from 0 to 65535";
    if (change->kind != CHANGE_ADD)
        return NULL;
    if (!changes_read_address(change->server, &address, name) || strcmp(name, change->server) != 0)
        return "adds a server that is not an address with a port";
    if (!read_number(word[1], INT32_MAX, &change->max_conns))
        return "has no max_conns from 0 to 2147483647";
    change->backup = strcmp(word[2], "backup") == 0;
    return change->backup || strcmp(word[2], "primary") == 0 ? NULL : "ends neither in \"primary\" nor in \"backup\"";
}

static const char *read_line(char *line, struct change *change)
{
    char *words[WORDS_MAX];
    size_t n = 0;
    int kind;

    while (line && n < WORDS_MAX)
        words[n++] = strsep(&line, " ");
    if (line || n < 3)
        return "has not as many words as it should have";
    kind = find_kind(words[0]);
    if (kind < 0)
        return "begins with no change that is known";
    *change = (struct change){.kind = (enum change_kind)kind, .persist = true, .configured = kind == CHANGE_REMOVE};
    if (!read_name(words[1], change->pool, sizeof(change->pool)) || !read_name(words[2], change->server, sizeof(change->server)))
        return "has a name that is too long, or not escaped as it should be";
    return read_values(words + 3, n - 3, change);
}

/* One line, without its newline. */
static int add_line(struct changes *changes, const char *text, size_t len, unsigned number, char *error, size_t size)
{
    char line[LINE_BYTES];
    const char *wrong = "is too long, or holds a NUL";
    struct change change;
    int result;

    if (len < sizeof(line) && !memchr(text, '\0', len)) {
        memcpy(line, text, len);
        line[len] = '\0';
        wrong = read_line(line, &change);
    }
    if (wrong) {
        snprintf(error, size, "line %u %s", number, wrong);
        return -EINVAL;
    }
    result = changes_add(changes, &change);
    if (result)
        snprintf(error, size, "line %u is one too many (%s)", number, strerror(-result));
    return result;
}

int changes_parse(const char *text, size_t len, struct changes *changes, char *error, size_t size)
{
    const char *end = text + len;
    unsigned number = 0;
    int result = 0;

    *changes = (struct changes){0};
    while (result == 0 && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line = newline ? (size_t)(newline - text) : 0;

        number++;
        if (!newline || (number == 1 && (line != strlen(FIRST_LINE) || memcmp(text, FIRST_LINE, line) != 0))) {
            snprintf(error, size, "line %u is %s", number, newline ? "not \"" FIRST_LINE "\"" : "cut");
            result = -EINVAL;
        } else if (number > 1) {
            result = add_line(changes, text, line, number, error, size);
        }
        text += line + 1;
    }
    if (result == 0 && number == 0) {
        snprintf(error, size, "it is empty");
        result = -EINVAL;
    }
    if (result)
        changes_fini(changes);
    return result;
}

/* Returns the bytes read into text[0..CHANGES_FILE_MAX), or -errno. */
static ssize_t read_file(const char *path, char *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    size_t len = 0;
    ssize_t n = 1;

    if (fd < 0)
        return -errno;
    while (n > 0 && len < CHANGES_FILE_MAX) {
        n = read(fd, text + len, CHANGES_FILE_MAX - len);
        if (n > 0)
            len += (size_t)n;
    }
    if (n < 0)
        n = -errno;
    else if (n > 0)
        n = -EFBIG;
    close(fd);
    return n < 0 ? n : (ssize_t)len;
}

int changes_read(const char *path, struct changes *changes, char *error, size_t size)
{
    char *text = malloc(CHANGES_FILE_MAX);
    char wrong[128];
    ssize_t len;
    int result;

    *changes = (struct changes){0};
    if (!text)
        return -ENOMEM;
    len = read_file(path, text);
    if (len < 0) {
        result = len == -ENOENT ? 0 : (int)len;
        if (result)
            snprintf(error, size, "cannot read the state file \"%s\" (%d: %s)", path, (int)-len, strerror((int)-len));
    } else {
        result = changes_parse(text, (size_t)len, changes, wrong, sizeof(wrong));
        if (result)
            snprintf(error, size, "the state file \"%s\" is damaged, mend or remove it: %s", path, wrong);
    }
    free(text);
    return result;
}

static void write_change(FILE *file, const struct change *change)
{
    fputs(change_word(change->kind), file);
    write_name(file, change->pool);
    write_name(file, change->server);
    if (change->kind == CHANGE_WEIGHT || change->kind == CHANGE_ADD)
        fprintf(file, " %u", change->weight);
    if (change->kind == CHANGE_ADD)
        fprintf(file, " %u %s", change->max_conns, change->backup ? "backup" : "primary");
    fputc('\n', file);
}

/* Without this, the new name of the file may be lost though its bytes are not. */
static int sync_directory(const char *path)
{
    char directory[4096];
    const char *slash = strrchr(path, '/');
    int fd, result;

    snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    result = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return result;
}

static int write_file(const char *temporary, const char *path, const struct changes *changes)
{
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool good;
    int code;

    if (!file) {
        code = errno;
        if (fd >= 0)
            close(fd);
        return -code;
    }
    fputs(FIRST_LINE "\n", file);
    for (size_t i = 0; i < changes->n; i++)
        if (changes->list[i].persist)
            write_change(file, &changes->list[i]);
    good = fflush(file) == 0 && fsync(fd) == 0;
    code = good ? 0 : -errno;
    if (fclose(file) != 0 && good)
        code = -errno;
    if (code == 0 && rename(temporary, path) != 0)
        code = -errno;
    return code ? code : sync_directory(path);
}

int changes_write(const char *path, const struct changes *changes, char *error, size_t size)
{
    char temporary[4096];
    int n = snprintf(temporary, sizeof(temporary), "%s.new", path);
    int result = n > 0 && (size_t)n < sizeof(temporary) ? write_file(temporary, path, changes) : -ENAMETOOLONG;

    if (result) {
        snprintf(error, size, "cannot write the state file \"%s\" (%d: %s)", path, -result, strerror(-result));
        if (result != -ENAMETOOLONG)
            unlink(temporary);
    }
    return result;
}
