/* Frames: a 12-byte header (payload length, kind, id; little endian) and the payload. What goes out is collected in
 * one fixed buffer; when it is full the warden waits for the host instead of dropping: a slow host slows the guest. */
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OUT_SIZE (8u << 20)
#define IN_SIZE (4u << 20)
#define HEADER 12u
#define ROOM (272u << 10) /* more than any frame that the warden makes */
#define DEPTH 4
#define BATCH (64u << 10)

static uint8_t out[OUT_SIZE];
static size_t out_used, out_sent;
static struct stage {
    uint32_t kind, id;
    size_t used;
    uint8_t data[ROOM];
} stages[DEPTH];
static int depth;
static bool urgent;
static uint8_t in[IN_SIZE];
static size_t in_used;
static int host_fd = -1, host_in = -1;

uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void die(const char *what) {
    char text[256];
    int n = snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
    if (host_fd >= 0) {
        frame(W_FAILED, 0, text, n > 0 ? (size_t)n : 0);
        out_flush();
    } else {
        dprintf(2, "warden: %s\n", text);
    }
    _exit(111);
}

void out_open(int from_host, int to_host) {
    host_in = from_host;
    host_fd = to_host;
    fcntl(host_in, F_SETFL, fcntl(host_in, F_GETFL) | O_NONBLOCK);
    fcntl(host_fd, F_SETFL, fcntl(host_fd, F_GETFL) | O_NONBLOCK);
}

static void out_write(bool wait_for_room) {
    while (out_sent < out_used) {
        ssize_t n = write(host_fd, out + out_sent, out_used - out_sent);
        if (n > 0) {
            out_sent += (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            if (!wait_for_room) return;
            struct pollfd p = {.fd = host_fd, .events = POLLOUT};
            poll(&p, 1, 1000);
            if (p.revents & (POLLERR | POLLNVAL)) _exit(0);
        } else {
            _exit(0); /* the host is gone, and the guest goes with it */
        }
    }
    out_sent = out_used = 0;
    urgent = false;
}

void out_flush(void) { out_write(true); }

/* What the host must act on is sent at once; records of calls may wait a moment for company, since each write wakes
 * the host's Python. True while something is left that the host's end does not take. */
bool out_pending(void) {
    if (out_used && (urgent || out_used - out_sent >= BATCH)) out_write(false);
    return urgent && out_used > out_sent;
}

/* Sends what waits, as far as the host takes it now. */
void out_send(void) { out_write(false); }

bool out_waiting(void) { return out_used > out_sent; }

/* Frames are put together aside and copied when whole, because making one may make another (a call that connects
 * accepts connections). */
void frame_begin(uint32_t kind, uint32_t id) {
    if (depth == DEPTH) _exit(112); /* a mistake of ours */
    struct stage *s = &stages[depth++];
    s->kind = kind;
    s->id = id;
    s->used = 0;
}

void frame_bytes(const void *data, size_t size) {
    struct stage *s = &stages[depth - 1];
    if (size > sizeof s->data - s->used) size = sizeof s->data - s->used; /* cannot happen: see ROOM */
    if (size) memcpy(s->data + s->used, data, size);
    s->used += size;
}

void frame_u32(uint32_t value) { frame_bytes(&value, sizeof value); }
void frame_u64(uint64_t value) { frame_bytes(&value, sizeof value); }

void frame_string(uint8_t kind, const void *data, size_t size) {
    if (size > 0xffff) size = 0xffff;
    uint8_t head[3] = {kind, (uint8_t)size, (uint8_t)(size >> 8)};
    frame_bytes(head, sizeof head);
    frame_bytes(data, size);
}

void frame_end(void) {
    struct stage *s = &stages[--depth];
    if (OUT_SIZE - out_used < s->used + HEADER) out_write(true);
    else if (out_used - out_sent >= BATCH) out_write(false);
    uint32_t head[3] = {(uint32_t)s->used, s->kind, s->id};
    if (s->kind != W_CALL && s->kind != W_PROCESS) urgent = true;
    memcpy(out + out_used, head, HEADER);
    memcpy(out + out_used + HEADER, s->data, s->used);
    out_used += HEADER + s->used;
}

/* A place in the open frame whose value is known later. */
size_t frame_mark(void) { return stages[depth - 1].used; }
void frame_patch(size_t mark, uint32_t value) { memcpy(stages[depth - 1].data + mark, &value, sizeof value); }

void frame_cancel(void) { depth--; }

/* Whether `size` more bytes find room in the open frame: what hostile names fill must ask. */
bool frame_fits(size_t size) { return size <= ROOM - stages[depth - 1].used; }

void frame(uint32_t kind, uint32_t id, const void *data, size_t size) {
    frame_begin(kind, id);
    frame_bytes(data, size);
    frame_end();
}

void lost(const char *sensor, const char *reason, uint32_t count) {
    frame_begin(W_LOST, count);
    frame_string(1, sensor, strlen(sensor));
    frame_string(2, reason, strlen(reason));
    frame_end();
}

/* Reads what the host sent and hands out whole frames. False when the host is gone. */
bool host_read(void (*handle)(uint32_t kind, uint32_t id, uint8_t *data, uint32_t size)) {
    ssize_t n = read(host_in, in + in_used, IN_SIZE - in_used);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (n < 0) return true;
    in_used += (size_t)n;
    size_t at = 0;
    while (in_used - at >= HEADER) {
        uint32_t head[3];
        memcpy(head, in + at, HEADER);
        if (head[0] > MAX_FRAME) return false;
        if (in_used - at - HEADER < head[0]) break;
        handle(head[1], head[2], in + at + HEADER, head[0]);
        at += HEADER + head[0];
    }
    memmove(in, in + at, in_used - at);
    in_used -= at;
    return true;
}
