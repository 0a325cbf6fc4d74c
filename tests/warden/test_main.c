#define main warden_main
#include "main.c"
#undef main

#include "check.h"

/* Every kind but the one that ends the warden, with nothing in it: none may read what is not there. */
static void empty_frames_are_harmless(void) {
    static struct seen f;
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    init_fd = ends[0];
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    proc_fd = open(temporary_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (witness_fd() < 0) witness_open();
    for (uint32_t kind = 0; kind < 200; kind++) {
        if (kind == H_END || kind == H_SEAL || kind == H_LISTEN) continue;
        uint8_t *nothing = malloc(1);
        handle(kind, 3, nothing, 0);
        free(nothing);
    }
    bool failed = false;
    while (host_sees(&f)) failed |= f.kind == W_SPAWN_FAILED && f.id == 3;
    CHECK(failed);
    struct plan wanted = {.cpus = 8, .memory = 5};
    handle(H_PLAN, 0, (uint8_t *)&wanted, sizeof wanted - 1);
    CHECK(plan.memory != 5);
    handle(H_PLAN, 0, (uint8_t *)&wanted, sizeof wanted);
    CHECK(plan.memory == 5 && plan.cpus == 8);
    close(ends[0]);
    close(ends[1]);
}

/* A phase's first frames: what is asked of the guest's first process, and what it says of it. */
static void a_phase_begins_and_ends(void) {
    static struct seen f;
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    init_fd = ends[0];
    host_forget();
    handle(H_SPAWN, 40, (uint8_t *)"whatever", 8);
    char message[64], control[CMSG_SPACE(3 * sizeof(int))] __attribute__((aligned(8)));
    struct iovec iov = {message, sizeof message};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CHECK(recvmsg(ends[1], &m, MSG_CMSG_CLOEXEC) == 8 && !memcmp(message, "whatever", 8));
    int fds[3];
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fds);
    CHECK(write(fds[1], "out", 3) == 3 && write(fds[2], "err", 3) == 3);
    int32_t said[3] = {W_EXITED, 40, 7 << 8};
    for (int i = 0; i < 3; i++) close(fds[i]);
    CHECK(write(ends[1], said, 5) == 5); /* too short: not looked at */
    init_ready();
    CHECK(write(ends[1], (int32_t[]){W_EXITED, 41, 0}, sizeof said) == sizeof said); /* not known */
    init_ready();
    CHECK(write(ends[1], said, sizeof said) == sizeof said);
    init_ready();
    static const uint32_t order[] = {W_OUTPUT, W_OUTPUT_LOST, W_OUTPUT, W_OUTPUT_LOST, W_EXITED};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) CHECK(host_expects(order[i], 40));
    CHECK(!host_sees(&f));
    bool free_again = true;
    for (int i = 0; i < (int)MAX_SPAWNS; i++) free_again &= !(spawns[i].used && spawns[i].id == 40);
    CHECK(free_again);
    handle(H_STOP, 40, NULL, 0);
    handle(H_STOP, 41, NULL, 0);
    close(ends[0]);
    close(ends[1]);
}

static void too_many_phases_are_refused(void) {
    static struct seen f;
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    init_fd = ends[0];
    for (uint32_t i = 0; i < MAX_SPAWNS + 5; i++) {
        char message[64];
        handle(H_SPAWN, 1000 + i, (uint8_t *)"whatever", 8);
        CHECK(recv(ends[1], message, sizeof message, 0) > 0 || i >= MAX_SPAWNS);
    }
    int refused = 0;
    while (host_sees(&f)) refused += f.kind == W_SPAWN_FAILED;
    CHECK(refused == 5);
    close(ends[1]);
    close(ends[0]);
}

void test_main(void) {
    empty_frames_are_harmless();
    a_phase_begins_and_ends();
    too_many_phases_are_refused();
}
