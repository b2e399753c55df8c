/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of engine/ring_restrictions.h, asked of the kernel: what is not in the table is refused, what
 * is in it is not, and the rings of workers have it. That all of Fairlead works with it, the other tests
 * show: they run on such rings. One thread.
 */
#include "engine/ring.h"
#include "engine/ring_restrictions.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct io_uring uring;

static int call_register(int fd, unsigned opcode, void *argument, unsigned n)
{
    return syscall(__NR_io_uring_register, fd, opcode, argument, n) < 0 ? -errno : 0;
}

static void begin(void)
{
    struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED};

    ck_assert_int_eq(io_uring_queue_init_params(4, &uring, &params), 0);
    ck_assert_int_eq(ring_restrict(uring.ring_fd), 0);
    ck_assert_int_eq(call_register(uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0), 0);
}

static void end(void)
{
    io_uring_queue_exit(&uring);
}

/* An operation on descriptor -1, which fails with EBADF or the like where it may be tried at all. */
static int try(int opcode, unsigned flags)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring);
    struct io_uring_cqe *cqe;
    int result;

    io_uring_prep_rw(opcode, sqe, -1, NULL, 0, 0);
    sqe->flags = (uint8_t)flags;
    ck_assert_int_eq(io_uring_submit_and_wait(&uring, 1), 1);
    ck_assert_int_eq(io_uring_peek_cqe(&uring, &cqe), 0);
    result = cqe->res;
    io_uring_cqe_seen(&uring, cqe);
    return result;
}

START_TEST(exactly_the_operations_of_the_table_are_let_through)
{
    static const int used[] = {IORING_OP_ACCEPT,      IORING_OP_RECV,    IORING_OP_SEND,
                               IORING_OP_SENDMSG,     IORING_OP_CONNECT, IORING_OP_POLL_ADD,
                               IORING_OP_ASYNC_CANCEL};

    for (int opcode = 0; opcode < IORING_OP_LAST; opcode++) {
        bool listed = false;

        for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++)
            listed = listed || used[i] == opcode;
        if (listed)
            ck_assert_msg(try(opcode, 0) != -EACCES, "operation %d is refused", opcode);
        else
            ck_assert_msg(try(opcode, 0) == -EACCES, "operation %d is let through", opcode);
    }
}
END_TEST

START_TEST(only_the_choice_of_a_buffer_is_a_flag_that_may_be_set)
{
    ck_assert_int_ne(try(IORING_OP_RECV, IOSQE_BUFFER_SELECT), -EACCES);
    ck_assert_int_eq(try(IORING_OP_RECV, IOSQE_FIXED_FILE), -EACCES);
    ck_assert_int_eq(try(IORING_OP_RECV, IOSQE_ASYNC), -EACCES);
}
END_TEST

START_TEST(nothing_else_can_be_registered)
{
    int files[] = {-1};

    ck_assert_int_eq(call_register(uring.ring_fd, IORING_REGISTER_FILES, files, 1), -EACCES);
    ck_assert_int_eq(call_register(uring.ring_fd, IORING_REGISTER_PERSONALITY, NULL, 0), -EACCES);
    ck_assert_int_eq(io_uring_register_ring_fd(&uring), 1);
    ck_assert_int_eq(io_uring_unregister_ring_fd(&uring), 1);
}
END_TEST

/* The descriptor of the one ring that this process has, or -1. */
static int find_ring(void)
{
    DIR *dir = opendir("/proc/self/fd");
    char target[64];
    int fd = -1;

    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

        target[len > 0 ? len : 0] = '\0';
        if (strcmp(target, "anon_inode:[io_uring]") == 0)
            fd = atoi(entry->d_name);
    }
    closedir(dir);
    return fd;
}

START_TEST(the_ring_of_a_worker_is_restricted)
{
    struct ring_config config = {
        .sq_entries = 8,
        .cq_entries = 64,
        .actors_max = 64,
        .buffers = {.ring_entries = 4,
                    .blocks_max = 4,
                    .block_size = 64,
                    .bulk_max = 1,
                    .bulk_size = 4096,
                    .heap_max = 4096},
    };
    struct ring *ring;

    ck_assert_int_eq(ring_create(&config, &ring), 0);
    ck_assert_int_eq(ring_enable(ring), 0);
    ck_assert_int_eq(call_register(find_ring(), IORING_REGISTER_PERSONALITY, NULL, 0), -EACCES);
    ring_destroy(ring);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_restrictions");
    TCase *table = tcase_create("table"), *worker = tcase_create("worker");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(table, begin, end);
    tcase_add_test(table, exactly_the_operations_of_the_table_are_let_through);
    tcase_add_test(table, only_the_choice_of_a_buffer_is_a_flag_that_may_be_set);
    tcase_add_test(table, nothing_else_can_be_registered);
    suite_add_tcase(suite, table);
    tcase_add_test(worker, the_ring_of_a_worker_is_restricted);
    suite_add_tcase(suite, worker);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
