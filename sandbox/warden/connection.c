/* Connections: accepted, and carried to the host and back, each with what it may send before the host takes more. */
#include "net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define SPARE_FILES 512u /* descriptors for everything but connections and listeners */

static struct connection {
    int fd;
    uint32_t id;
    uint8_t *buffer;
    uint32_t head, used, credit;
    bool finished_in, finish_asked, held, parked; /* held: the host takes no more of it; parked: not watched */
} connections[MAX_CONNECTIONS];
static unsigned connection_count, connection_limit = MAX_CONNECTIONS;
static uint32_t generation;
static unsigned connection_hint;

/* As many at once as there are descriptors for. */
void connections_up(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < MAX_CONNECTIONS + MAX_LISTENERS + SPARE_FILES)
        connection_limit = files.rlim_cur > MAX_LISTENERS + SPARE_FILES + 64
                               ? (unsigned)files.rlim_cur - MAX_LISTENERS - SPARE_FILES : 64;
}

static void announce(uint32_t id, const struct sockaddr_storage *to, const struct sockaddr_storage *from) {
    uint8_t bytes[16];
    frame_begin(W_OPENED, id);
    frame_u64(now_ns());
    raw_address(to, bytes);
    frame_bytes(bytes, 16);
    frame_u32(port_of(to));
    frame_u32((uint32_t)owners[0][port_of(from)]);
    frame_end();
}

/* Accepts all that wait. */
void listener_ready(unsigned index) {
    for (;;) {
        struct sockaddr_storage from = {0}, to = {0};
        socklen_t size = sizeof from;
        int one = 1, fd = accept4(listeners[index].fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE) lost("network", "out of descriptors", 1);
            return;
        }
        size = sizeof to;
        unsigned i = 0;
        while (i < MAX_CONNECTIONS && connections[(connection_hint + i) % MAX_CONNECTIONS].id) i++;
        if (i == MAX_CONNECTIONS || connection_count >= connection_limit || getsockname(fd, (struct sockaddr *)&to, &size)) {
            lost("network", "more connections at once than can be answered", 1);
            close(fd);
            continue;
        }
        i = (connection_hint + i) % MAX_CONNECTIONS;
        connection_hint = i + 1;
        connection_count++;
        generation = generation % 500000 + 1;
        connections[i] = (struct connection){.fd = fd, .id = generation * MAX_CONNECTIONS + i};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        announce(connections[i].id, &to, &from);
        watch_fd(fd, E_CONNECTION, i, EPOLLIN | EPOLLRDHUP);
    }
}

static void drop(struct connection *c, bool tell) {
    if (tell) frame(W_CLOSED, c->id, NULL, 0);
    close(c->fd);
    free(c->buffer);
    *c = (struct connection){0};
    connection_count--;
}

static void rearm(struct connection *c) {
    uint32_t events = (c->finished_in || c->held ? 0 : EPOLLIN) | (c->used ? EPOLLOUT : 0);
    if (c->parked) return;
    change_fd(c->fd, E_CONNECTION, (uint32_t)(c - connections), events);
}

static void give_credit(struct connection *c, uint32_t written) {
    c->credit += written;
    if (c->credit >= (128u << 10) || (!c->used && c->credit)) {
        frame(W_CREDIT, c->id, &c->credit, sizeof c->credit);
        c->credit = 0;
    }
}

static void after_write(struct connection *c) {
    if (!c->used && c->finish_asked) {
        shutdown(c->fd, SHUT_WR);
        c->finish_asked = false;
        if (c->finished_in) drop(c, true);
    }
}

void connection_ready(unsigned index, uint32_t events) {
    static uint8_t bytes[256 << 10];
    struct connection *c = &connections[index];
    if (!c->id) return;
    if (c->held && events & (EPOLLERR | EPOLLHUP)) { /* over, but not read to its end: those two cannot be masked */
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
        c->parked = true;
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP) && c->held) events &= ~(uint32_t)(EPOLLIN | EPOLLRDHUP);
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) && !c->finished_in) {
        ssize_t n = read(c->fd, bytes, sizeof bytes);
        if (n > 0) frame(W_DATA, c->id, bytes, (size_t)n);
        else if (n == 0) {
            c->finished_in = true;
            frame(W_FINISHED, c->id, NULL, 0);
            rearm(c);
        } else if (errno != EAGAIN && errno != EINTR) {
            drop(c, true);
            return;
        }
    } else if (events & (EPOLLERR | EPOLLHUP)) {
        drop(c, true);
        return;
    }
    if (events & EPOLLOUT && c->used) {
        ssize_t n = write(c->fd, c->buffer + c->head, c->used);
        if (n > 0) {
            c->head += (uint32_t)n;
            c->used -= (uint32_t)n;
            if (!c->used) {
                free(c->buffer);
                c->buffer = NULL;
                rearm(c);
            }
            give_credit(c, (uint32_t)n);
            after_write(c);
        } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
            drop(c, true);
        }
    }
}

/* What was sent before now is told before what comes next. */
void connections_drain(void) {
    for (unsigned i = 0; i < MAX_LISTENERS; i++) {
        if (!listeners[i].fd) continue;
        if (listeners[i].datagram) udp_ready(i);
        else listener_ready(i);
    }
    for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
        if (connections[i].id && !connections[i].held) connection_ready(i, EPOLLIN);
}

static struct connection *connection_of(uint32_t id) {
    struct connection *c = &connections[id % MAX_CONNECTIONS];
    return id && c->id == id ? c : NULL;
}

void connection_data(uint32_t id, const uint8_t *data, uint32_t size) {
    struct connection *c = connection_of(id);
    if (!c) return;
    if (!c->used) {
        ssize_t n = send(c->fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            drop(c, true);
            return;
        }
        if (n > 0) {
            data += n;
            size -= (uint32_t)n;
            give_credit(c, (uint32_t)n);
        }
        if (!size) return;
        c->buffer = malloc(2 * WINDOW);
        c->head = 0;
        if (!c->buffer) {
            drop(c, true);
            return;
        }
    }
    if (c->used + size > WINDOW) { /* the host sent more than its window: a mistake of ours */
        lost("network", "a connection's window was overrun", 1);
        drop(c, true);
        return;
    }
    if (c->head + c->used + size > 2 * WINDOW) {
        memmove(c->buffer, c->buffer + c->head, c->used);
        c->head = 0;
    }
    memcpy(c->buffer + c->head + c->used, data, size);
    c->used += size;
    rearm(c);
}

/* The host has as much of this connection as it wants for now, or takes more again. */
void connection_hold(uint32_t id, bool held) {
    struct connection *c = connection_of(id);
    if (!c || c->held == held) return;
    c->held = held;
    if (!c->parked) {
        rearm(c);
    } else if (!held) {
        c->parked = false;
        watch_fd(c->fd, E_CONNECTION, (uint32_t)(c - connections), EPOLLIN);
    }
}

void connection_finish(uint32_t id) {
    struct connection *c = connection_of(id);
    if (!c) return;
    c->finish_asked = true;
    after_write(c);
}

void connection_reset(uint32_t id) {
    struct connection *c = connection_of(id);
    if (!c) return;
    struct linger now = {.l_onoff = 1};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    drop(c, true);
}
