#include "net.c"

#include "connection.c"

#include "check.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

static struct sockaddr_storage address(const char *text, uint16_t port) {
    struct sockaddr_storage a = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)&a;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&a;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
    } else {
        CHECK(inet_pton(AF_INET6, text, &six->sin6_addr) == 1);
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
    }
    return a;
}

static socklen_t size_of(const struct sockaddr_storage *a) {
    return a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void addresses(void) {
    static const struct {
        const char *text;
        bool loopback, four;
        uint8_t last;
    } table[] = {
        {"127.0.0.1", true, true, 1},         {"127.255.255.254", true, true, 254}, {"0.0.0.0", true, true, 0},
        {"128.0.0.1", false, true, 1},        {"203.0.113.5", false, true, 5},      {"::1", true, false, 1},
        {"::", true, false, 0},               {"::ffff:127.0.0.1", true, true, 1},  {"::ffff:0.0.0.0", true, true, 0},
        {"::ffff:198.51.100.7", false, true, 7}, {"2001:db8::9", false, false, 9},  {"::2", false, false, 2},
        {"fe80::1", false, false, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct sockaddr_storage a = address(table[i].text, 443);
        uint8_t bytes[16];
        raw_address(&a, bytes);
        CHECK(is_loopback(&a) == table[i].loopback && is_v4(&a) == table[i].four);
        CHECK(port_of(&a) == 443 && bytes[15] == table[i].last);
        if (a.ss_family == AF_INET) CHECK(bytes[9] == 0 && bytes[10] == 0xff && bytes[11] == 0xff);
    }
}

static void ports(void) {
    struct sockaddr_storage low = address("0.0.0.0", 443), high = address("::", 8443), none = address("0.0.0.0", 0);
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    net_before_bind(&low); /* cannot succeed, so that the port stays ours */
    net_before_bind(&high);
    net_before_bind(&none);
    net_before_bind(&local);
    CHECK(!bit(taken, 443) && bit(taken, 8443) && !bit(taken, 8442) && !bit(taken, 8444) && !bit(taken, 0));
    net_plan_loopback(65535);
    net_plan_loopback(0);
    CHECK(bit(planned, 65535) && bit(planned, 0) && !bit(planned, 65534));
}

static void ids_that_are_none(void) {
    static const uint32_t ids[] = {0, 1, 4095, 4096, 0xffffffff, 500000u * MAX_CONNECTIONS + 4095};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        CHECK(!connection_of(ids[i]));
        connection_data(ids[i], (const uint8_t *)"x", 1);
        connection_finish(ids[i]);
        connection_hold(ids[i], true);
        connection_reset(ids[i]);
    }
    uint8_t reply[64] = {0};
    for (uint32_t size = 0; size <= sizeof reply; size++) {
        uint8_t *exact = calloc(1, size ? size : 1);
        datagram_reply(exact, size); /* no such listener */
        free(exact);
    }
}

static double seconds(void) { return (double)now_ns() / 1e9; }

static bool wait_for(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 2000) == 1;
}

/* The package's end of a connection that the warden made and announced; `id` is set. */
static int connected(const char *text, uint16_t port, pid_t who, uint32_t *id) {
    struct sockaddr_storage to = address(text, port);
    bool answered = false;
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(net_connect(getpid(), who, fd, &to, size_of(&to), &answered) == 0 && answered);
    listener_ready((unsigned)(listener_on(is_v4(&to) ? AF_INET : AF_INET6, port, false) - listeners));
    static struct seen f;
    CHECK(host_sees(&f) && f.kind == W_OPENED && f.size == 8 + 16 + 8);
    uint8_t bytes[16];
    uint32_t numbers[2];
    raw_address(&to, bytes);
    memcpy(numbers, f.data + 24, 8);
    CHECK(!memcmp(f.data + 8, bytes, 16) && numbers[0] == port && numbers[1] == (uint32_t)who);
    *id = f.id;
    return fd;
}

static void a_connection_carries_bytes_both_ways(const char *to) {
    uint32_t id;
    char text[16];
    int fd = connected(to, 80, 77, &id);
    unsigned index = id % MAX_CONNECTIONS;
    CHECK(write(fd, "hello", 5) == 5 && wait_for(connections[index].fd));
    connection_ready(index, EPOLLIN);
    const struct seen *f = host_expects(W_DATA, id);
    CHECK(f->size == 5 && !memcmp(f->data, "hello", 5));
    connection_data(id, (const uint8_t *)"world", 5);
    uint32_t credit;
    memcpy(&credit, host_expects(W_CREDIT, id)->data, 4);
    CHECK(credit == 5 && wait_for(fd) && read(fd, text, sizeof text) == 5);
    connection_finish(id);
    CHECK(wait_for(fd) && read(fd, text, sizeof text) == 0);
    close(fd);
    CHECK(wait_for(connections[index].fd));
    connection_ready(index, EPOLLIN | EPOLLHUP);
    host_expects(W_FINISHED, id);
    connection_ready(index, EPOLLHUP);
    host_expects(W_CLOSED, id);
    CHECK(!connection_of(id));
}

static void a_slow_reader_is_waited_for(void) {
    static uint8_t bytes[256 << 10];
    uint32_t id, credit;
    static struct seen f;
    size_t sent = 0, credited = 0, got = 0;
    int fd = connected("203.0.113.9", 8080, 5, &id);
    unsigned index = id % MAX_CONNECTIONS;
    struct connection *c = &connections[index];
    for (int i = 0; i < 400 && c->used < WINDOW / 2; i++) {
        connection_data(id, bytes, sizeof bytes);
        sent += sizeof bytes;
    }
    CHECK(c->used && c->used <= WINDOW);
    connection_finish(id); /* what waits is sent first */
    while (got < sent) {
        ssize_t n = wait_for(fd) ? read(fd, bytes, sizeof bytes) : -1;
        CHECK(n > 0);
        got += (size_t)n;
        if (c->used) connection_ready(index, EPOLLOUT);
    }
    CHECK(wait_for(fd) && read(fd, bytes, 1) == 0 && !c->used && !c->buffer);
    while (host_sees(&f)) {
        CHECK(f.kind == W_CREDIT && f.id == id);
        memcpy(&credit, f.data, 4);
        credited += credit;
    }
    CHECK(credited == sent && got == sent);
    close(fd);
    connection_reset(id);
    host_expects(W_CLOSED, id);
}

static void a_window_that_is_overrun_ends_it(void) {
    static uint8_t bytes[256 << 10];
    uint32_t id;
    static struct seen f;
    int fd = connected("203.0.113.9", 8080, 5, &id);
    for (int i = 0; i < 400 && connection_of(id); i++) connection_data(id, bytes, sizeof bytes);
    CHECK(!connection_of(id));
    bool told = false;
    while (host_sees(&f)) told |= f.kind == W_LOST;
    CHECK(told);
    close(fd);
}

static void a_held_connection_is_not_read(void) {
    uint32_t id;
    static struct seen f;
    int fd = connected("203.0.113.9", 80, 5, &id);
    unsigned index = id % MAX_CONNECTIONS;
    connection_hold(id, true);
    CHECK(write(fd, "later", 5) == 5 && wait_for(connections[index].fd));
    connection_ready(index, EPOLLIN);
    CHECK(!host_sees(&f));
    connection_finish(id);
    close(fd); /* over on both sides, and not yet read */
    connection_ready(index, EPOLLIN | EPOLLHUP);
    CHECK(connections[index].parked && !host_sees(&f));
    connection_hold(id, false);
    CHECK(!connections[index].parked);
    connection_ready(index, EPOLLIN | EPOLLHUP);
    CHECK(host_expects(W_DATA, id)->size == 5);
    connection_ready(index, EPOLLIN | EPOLLHUP);
    host_expects(W_FINISHED, id);
    connection_ready(index, EPOLLHUP);
    host_expects(W_CLOSED, id);
}

static void datagrams_are_answered_from_where_they_went(const char *to, uint16_t port) {
    struct sockaddr_storage there = address(to, port), from = {0};
    socklen_t size = sizeof from;
    bool answered = false;
    char text[64];
    int fd = socket(there.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(net_send(getpid(), 31, fd, &there, size_of(&there), (uint64_t)(uintptr_t)"ask", 3, 0, &answered) == 3);
    CHECK(answered);
    struct listener *l = listener_on(is_v4(&there) ? AF_INET : AF_INET6, port, true);
    CHECK(l && wait_for(l->fd));
    udp_ready((unsigned)(l - listeners));
    const struct seen *f = host_expects(W_DATAGRAM, 31);
    CHECK(f->size == 8 + 40 + 3 && !memcmp(f->data + 48, "ask", 3));
    uint8_t reply[64];
    memcpy(reply, f->data + 8, 20);
    memcpy(reply + 20, f->data + 28, 20);
    memcpy(reply + 40, "answer", 6);
    datagram_reply(reply, 46);
    CHECK(wait_for(fd) && recvfrom(fd, text, sizeof text, 0, (struct sockaddr *)&from, &size) == 6);
    uint8_t one[16], other[16];
    raw_address(&there, one);
    raw_address(&from, other);
    CHECK(!memcmp(one, other, 16) && port_of(&from) == port);
    close(fd);
}

static void whose_a_message_is(void) {
    struct sockaddr_storage to = address("203.0.113.9", 5353);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    net_expect(4321, fd, &to);
    struct listener *l = listener_on(AF_INET, 5353, true);
    CHECK(l && sendto(fd, "x", 1, 0, (struct sockaddr *)&to, size_of(&to)) == 1 && wait_for(l->fd));
    udp_ready((unsigned)(l - listeners));
    host_expects(W_DATAGRAM, 4321);
    net_expect(1, -1, &to); /* a descriptor that could not be had */
    close(fd);
}

static void a_connect_that_would_wait_does_not(void) {
    struct sockaddr_storage to = address("203.0.113.9", 80);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), most = 255;
    bool answered = false;
    CHECK(setsockopt(fd, IPPROTO_IP, IP_MINTTL, &most, sizeof most) == 0); /* it throws away what comes */
    double before = seconds();
    CHECK(net_connect(getpid(), 1, fd, &to, size_of(&to), &answered) == -ETIMEDOUT && answered);
    CHECK(seconds() - before < 1);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    answered = false;
    CHECK(net_connect(getpid(), 1, fd, &to, size_of(&to), &answered) == -EINPROGRESS && answered);
    close(fd);
}

static void its_own_server_is_its_own(void) {
    struct sockaddr_storage here = address("127.0.0.1", 9000), there = address("203.0.113.9", 9000);
    bool answered = false;
    uint32_t id;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(net_connect(getpid(), 1, fd, &here, size_of(&here), &answered) == 0 && !answered);
    close(connected("203.0.113.9", 9000, 1, &id)); /* ours until it listens itself */
    host_forget();
    net_before_bind(&here);
    CHECK(!listener_on(AF_INET, 9000, false));
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    CHECK(bind(server, (struct sockaddr *)&here, size_of(&here)) == 0 && listen(server, 1) == 0);
    CHECK(net_connect(getpid(), 1, fd, &there, size_of(&there), &answered) == 0 && !answered);
    close(server);
    close(fd);
}

static void bounds(void) {
    static struct seen f;
    uint32_t id;
    listener_ready((unsigned)(listener_on(AF_INET, 80, false) - listeners));
    for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
        if (connections[i].id) connection_reset(connections[i].id);
    CHECK(connection_count == 0);
    connection_limit = 3;
    host_forget();
    int fds[4];
    for (int i = 0; i < 3; i++) fds[i] = connected("203.0.113.9", 80, 1, &id);
    struct sockaddr_storage to = address("203.0.113.9", 80);
    bool answered;
    fds[3] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(net_connect(getpid(), 1, fds[3], &to, size_of(&to), &answered) == 0);
    listener_ready((unsigned)(listener_on(AF_INET, 80, false) - listeners));
    CHECK(host_sees(&f) && f.kind == W_LOST && f.id == 1 && !host_sees(&f) && connection_count == 3);
    for (int i = 0; i < 4; i++) close(fds[i]);
    connection_limit = MAX_CONNECTIONS;
    unsigned opened = 0;
    for (uint16_t port = 20000; port < 20000 + MAX_LISTENERS + 10; port++) opened += ensure(AF_INET, port, true) != NULL;
    CHECK(listener_count == MAX_LISTENERS && opened < MAX_LISTENERS);
    CHECK(host_sees(&f) && f.kind == W_LOST);
}

/* In a network namespace of its own; where none can be made, that is said and nothing is tested. */
static void in_a_network_of_its_own(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
            printf("net: no namespaces here, so the connections are not tested\n");
            fflush(stdout);
            _exit(0);
        }
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        net_up();
        a_connection_carries_bytes_both_ways("203.0.113.9");
        a_connection_carries_bytes_both_ways("::ffff:198.51.100.1");
        if (access("/proc/net/if_inet6", F_OK) == 0) {
            a_connection_carries_bytes_both_ways("2001:db8::1");
            datagrams_are_answered_from_where_they_went("2001:db8::53", 53);
        }
        a_slow_reader_is_waited_for();
        a_window_that_is_overrun_ends_it();
        a_held_connection_is_not_read();
        datagrams_are_answered_from_where_they_went("192.168.1.1", 53);
        whose_a_message_is();
        a_connect_that_would_wait_does_not();
        its_own_server_is_its_own();
        bounds();
        fflush(stdout);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

void test_net(void) {
    addresses();
    ports();
    ids_that_are_none();
    in_a_network_of_its_own();
}
