/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `fairleadctl watch`: asks once per second, and draws. On a terminal it takes the whole screen and gives it back; else it prints. */
#ifndef FAIRLEAD_CTL_WATCH_H
#define FAIRLEAD_CTL_WATCH_H

/* `count`: pictures, then it ends; 0: until q is pressed, or a signal. Returns the exit status. */
int watch(const char *socket_path, unsigned long count);

#endif
