#include <unistd.h>

/* A request that is whole would start a program: here it is only counted. */
static int forks;
static pid_t no_fork(void) {
    forks++;
    return -1;
}
#define fork no_fork
#include "init.c"
#undef fork

#include "check.h"

static int ends[2];

static bool starts(const struct request *r, const char *strings, size_t size) {
    char *message = calloc(1, sizeof *r + size + 1); /* one more: its end is written there */
    int32_t said[3] = {0};
    int fds[3] = {-1, -1, -1}, before = forks;
    memcpy(message, r, sizeof *r);
    memcpy(message + sizeof *r, strings, size);
    start(ends[0], message, sizeof *r + size, fds);
    free(message);
    CHECK(read(ends[1], said, sizeof said) == sizeof said);
    CHECK(said[0] == W_EXITED && said[1] == 7 && said[2] == 125 << 8);
    return forks > before;
}

static void requests_that_lie_are_refused(void) {
    static const char strings[] = "/cwd\0/bin/x\0-a\0A=1";
    struct request r = {.id = 7, .argc = 2, .envc = 1};
    CHECK(starts(&r, strings, sizeof strings));
    CHECK(!starts(&r, strings, sizeof strings - 1)); /* the last one is cut */
    for (size_t size = 0; size < sizeof strings; size++) CHECK(!starts(&r, strings, size));
    static const uint32_t counts[] = {3, 4, 4001, 0x7fffffff, 0xfffffffe, 0xffffffff};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct request lie = {.id = 7, .argc = counts[i], .envc = 1};
        CHECK(!starts(&lie, strings, sizeof strings));
        lie = (struct request){.id = 7, .argc = 2, .envc = counts[i]};
        CHECK(!starts(&lie, strings, sizeof strings));
    }
    struct request none = {.id = 7};
    CHECK(!starts(&none, strings, sizeof strings));
}

static void messages_without_descriptors_are_dropped(void) {
    int pair[2];
    int32_t said;
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    struct request r = {.id = 7, .argc = 1};
    int before = forks;
    CHECK(write(pair[1], &r, sizeof r) == sizeof r && write(pair[1], "x", 1) == 1);
    receive(pair[0]);
    receive(pair[0]);
    receive(pair[0]); /* nothing there */
    CHECK(forks == before && read(pair[1], &said, sizeof said) < 0);
    close(pair[0]);
    close(pair[1]);
}

void test_init(void) {
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    requests_that_lie_are_refused();
    messages_without_descriptors_are_dropped();
    close(ends[0]);
    close(ends[1]);
}
