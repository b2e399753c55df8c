/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control thread: it reads the configuration, opens the listening sockets, drops privileges, starts the workers, waits for signals, and stops
 * all in order. It never touches a client connection.
 */
#ifndef FAIRLEAD_CONTROL_CONTROL_H
#define FAIRLEAD_CONTROL_CONTROL_H

struct control_options {
    const char *config_path;
    const char *balancers_dir; /* NULL: as configured or built in */
    _Bool allow_insecure_files; /* -I: files that everybody may write to are read all the same */
    _Bool show_secrets;         /* -T twice: secrets are printed, too */
    _Bool quiet;               /* control_test says nothing but what is wrong */
    char *const *argv;         /* as given: an upgrade starts the next process with it; NULL: there is none */
};

/* -t and -T: tests the configuration, tells as nginx does, and with `print` writes the effective one to stdout. Returns the exit status. */
int control_test(const struct control_options *options, _Bool print);
/* Serves until a signal ends it. Returns the exit status. */
int control_serve(const struct control_options *options);

#endif
