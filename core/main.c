/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line, and nothing else. */
#include "control/control.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static void usage(FILE *out)
{
    fputs("usage: fairlead [-c FILE] [-b DIRECTORY] [-I] [-t | -T]\n"
          "  -c FILE       configuration (default " FAIRLEAD_CONFIG_FILE ")\n"
          "  -b DIRECTORY  where the balancing strategies are\n"
          "  -t            test the configuration and stop\n"
          "  -T            the same, and print the effective configuration; given twice, with its secrets\n"
          "  -I            allow files that everybody may write to\n"
          "  -v            print the version and stop\n"
          "  -h            print this\n",
          out);
}

int main(int argc, char **argv)
{
    struct control_options options = {.config_path = FAIRLEAD_CONFIG_FILE};
    bool test = false, print = false;
    int option;

    while ((option = getopt(argc, argv, "c:b:ItTvh")) != -1) {
        switch (option) {
        case 'c':
            options.config_path = optarg;
            break;
        case 'b':
            options.balancers_dir = optarg;
            break;
        case 't':
            test = true;
            break;
        case 'I':
            options.allow_insecure_files = true;
            break;
        case 'T':
            options.show_secrets = print;
            test = print = true;
            break;
        case 'v':
            puts("fairlead " FAIRLEAD_VERSION);
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind < argc) {
        usage(stderr);
        return 2;
    }
    return test ? control_test(&options, print) : control_serve(&options);
}
