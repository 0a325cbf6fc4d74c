#include "frames.c"

#include "check.h"

#include <sys/wait.h>

static int warden_end = -1, host_end = -1;

void host_open(void) {
    int pair[2], size = 4 << 20;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    warden_end = pair[0];
    host_end = pair[1];
    fcntl(host_end, F_SETFL, O_NONBLOCK);
    out_open(warden_end, warden_end);
}

void host_forget(void) {
    static uint8_t waste[64 << 10];
    out_flush();
    while (read(host_end, waste, sizeof waste) > 0) {}
    in_used = 0;
    depth = 0;
}

static bool take(void *to, size_t size) {
    for (size_t have = 0; have < size;) {
        ssize_t n = read(host_end, (uint8_t *)to + have, size - have);
        if (n <= 0) {
            CHECK(have == 0);
            return false;
        }
        have += (size_t)n;
    }
    return true;
}

bool host_sees(struct seen *f) {
    CHECK(depth == 0);
    out_flush();
    if (!take(f, HEADER)) return false;
    CHECK(f->size <= sizeof f->data);
    CHECK(f->size == 0 || take(f->data, f->size));
    return true;
}

const struct seen *host_expects(uint32_t kind, uint32_t id) {
    static struct seen f;
    CHECK(host_sees(&f));
    if (f.kind != kind || f.id != id)
        fprintf(stderr, "a frame of kind %u for %u in place of %u for %u: %.*s\n", f.kind, f.id, kind, id,
                (int)(f.size < 100 ? f.size : 100), f.data);
    CHECK(f.kind == kind && f.id == id);
    return &f;
}

const uint8_t *string_of(const struct seen *f, size_t at, uint8_t kind, size_t *size) {
    while (at < f->size) {
        CHECK(at + 3 <= f->size);
        *size = f->data[at + 1] | (size_t)f->data[at + 2] << 8;
        CHECK(at + 3 + *size <= f->size);
        if (f->data[at] == kind) return f->data + at + 3;
        at += 3 + *size;
    }
    return NULL;
}

static void built_and_nested(void) {
    frame_begin(W_CALL, 7);
    frame_u32(1);
    size_t mark = frame_mark();
    frame_u32(0);
    frame(W_DATA, 8, "inner", 5); /* made while another is being made: comes first, whole */
    frame_string(S_PATH, "/x", 2);
    frame_patch(mark, 0xabcd);
    frame_end();
    frame_begin(W_CALL, 9);
    frame_u64(1);
    frame_cancel();
    const struct seen *f = host_expects(W_DATA, 8);
    CHECK(f->size == 5 && !memcmp(f->data, "inner", 5));
    f = host_expects(W_CALL, 7);
    uint32_t patched;
    memcpy(&patched, f->data + 4, 4);
    CHECK(f->size == 8 + 3 + 2 && patched == 0xabcd && f->data[8] == S_PATH && f->data[9] == 2 && f->data[10] == 0);
    struct seen none;
    CHECK(!host_sees(&none));
}

static void long_things_are_cut(void) {
    static uint8_t big[300 << 10];
    frame_begin(W_CALL, 1);
    frame_string(S_PATH, big, sizeof big);
    CHECK(!frame_fits(ROOM) && frame_fits(ROOM - frame_mark()));
    frame_end();
    size_t size;
    CHECK(string_of(host_expects(W_CALL, 1), 0, S_PATH, &size) && size == 0xffff);
    frame(W_DATA, 2, big, sizeof big);
    CHECK(host_expects(W_DATA, 2)->size == ROOM);
    lost("a", "b", 3);
    CHECK(string_of(host_expects(W_LOST, 3), 0, 2, &size) && size == 1);
}

/* More than the buffer holds: the warden waits for the host, and nothing is lost. */
static void a_slow_host_loses_nothing(void) {
    static uint8_t bytes[100 << 10];
    const uint32_t count = 300;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (uint32_t i = 0; i < count; i++) {
            memset(bytes, (int)i, sizeof bytes);
            frame(W_DATA, i, bytes, sizeof bytes);
        }
        out_flush();
        _exit(0);
    }
    fcntl(host_end, F_SETFL, 0);
    struct seen *f = malloc(sizeof *f);
    for (uint32_t i = 0; i < count; i++) {
        if (i % 100 == 50) usleep(20000);
        CHECK(take(f, HEADER) && f->size == sizeof bytes && take(f->data, f->size));
        CHECK(f->id == i && f->data[0] == (uint8_t)i && f->data[sizeof bytes - 1] == (uint8_t)i);
    }
    free(f);
    fcntl(host_end, F_SETFL, O_NONBLOCK);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static uint32_t handled, sum;

static void handle_one(uint32_t kind, uint32_t id, uint8_t *data, uint32_t size) {
    CHECK(kind == H_DATA && id == handled);
    handled++;
    for (uint32_t i = 0; i < size; i++) sum += data[i];
}

static void host_writes(const void *data, size_t size) {
    for (size_t at = 0; at < size;) {
        ssize_t n = write(host_end, (const uint8_t *)data + at, size - at);
        if (n > 0) at += (size_t)n;
        else CHECK(host_read(handle_one));
    }
}

static size_t make(uint8_t *at, uint32_t id, uint32_t size) {
    uint32_t head[3] = {size, H_DATA, id};
    memcpy(at, head, HEADER);
    memset(at + HEADER, 1, size);
    return HEADER + size;
}

static void frames_of_the_host(void) {
    uint8_t bytes[256];
    handled = sum = 0;
    size_t size = make(bytes, 0, 5);
    for (size_t i = 0; i < size; i++) { /* byte by byte */
        CHECK(handled == 0);
        host_writes(bytes + i, 1);
        CHECK(host_read(handle_one));
    }
    CHECK(handled == 1 && sum == 5);
    size = make(bytes, 1, 0); /* several at once, and the half of another */
    size += make(bytes + size, 2, 7);
    size_t whole = size;
    size += make(bytes + size, 3, 9);
    host_writes(bytes, whole + 10);
    CHECK(host_read(handle_one) && handled == 3 && sum == 12);
    host_writes(bytes + whole + 10, size - whole - 10);
    CHECK(host_read(handle_one) && handled == 4 && sum == 21);
    CHECK(host_read(handle_one)); /* nothing there */
    uint8_t *big = malloc(6 * (MAX_FRAME + HEADER)); /* more than the buffer holds at once */
    size = 0;
    for (uint32_t i = 0; i < 6; i++) size += make(big + size, 4 + i, MAX_FRAME);
    host_writes(big, size);
    while (handled < 10) CHECK(host_read(handle_one));
    CHECK(sum == 21 + 6 * MAX_FRAME && in_used == 0);
    free(big);
}

static void a_host_that_cannot_be_is_left(void) {
    uint8_t bytes[HEADER];
    uint32_t head[3] = {MAX_FRAME + 1, H_DATA, 0};
    memcpy(bytes, head, HEADER);
    host_writes(bytes, HEADER);
    CHECK(!host_read(handle_one));
    host_forget();
    int old_warden = warden_end, old_host = host_end;
    host_open();
    close(host_end);
    CHECK(!host_read(handle_one)); /* the end of the stream */
    close(warden_end);
    warden_end = old_warden;
    host_end = old_host;
    out_open(warden_end, warden_end);
}

void test_frames(void) {
    built_and_nested();
    long_things_are_cut();
    a_slow_host_loses_nothing();
    frames_of_the_host();
    a_host_that_cannot_be_is_left();
}
