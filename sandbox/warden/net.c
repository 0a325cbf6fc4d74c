/* The network sensor: the guest has only a loopback on which every address is local. Whatever the package connects
 * to, the warden answers (here), and carries the bytes over the stream to the host (connection.c). Nothing leaves the
 * machine. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#define CONNECT_USEC 50000
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#define OWN_PORTS 1024 /* below, an unprivileged bind fails */

struct listener listeners[MAX_LISTENERS];
static unsigned listener_count;

pid_t owners[2][65536];
static uint8_t taken[65536 / 8]; /* ports on which the package listens itself */
static uint8_t planned[65536 / 8]; /* loopback ports that decoys answer on */

static bool bit(const uint8_t *set, uint16_t n) { return set[n / 8] >> (n % 8) & 1; }

void net_up(void) {
    struct ifreq r = {.ifr_name = "lo"};
    connections_up();
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r)) die("the loopback");
    r.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &r)) die("the loopback");
    close(fd);
    route_all(AF_INET);
    route_all(AF_INET6);
}

void net_plan_loopback(uint16_t port) { planned[port / 8] |= (uint8_t)(1 << (port % 8)); }

uint16_t port_of(const struct sockaddr_storage *a) {
    return ntohs(a->ss_family == AF_INET ? ((const struct sockaddr_in *)a)->sin_port
                                         : ((const struct sockaddr_in6 *)a)->sin6_port);
}

/* An address as 16 bytes, IPv4 mapped. */
void raw_address(const struct sockaddr_storage *a, uint8_t bytes[16]) {
    memset(bytes, 0, 16);
    if (a->ss_family == AF_INET) {
        bytes[10] = bytes[11] = 0xff;
        memcpy(bytes + 12, &((const struct sockaddr_in *)a)->sin_addr, 4);
    } else {
        memcpy(bytes, &((const struct sockaddr_in6 *)a)->sin6_addr, 16);
    }
}

static bool is_loopback(const struct sockaddr_storage *a) {
    uint8_t b[16];
    static const uint8_t one[16] = {[15] = 1}, none[16] = {0};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    raw_address(a, b);
    if (!memcmp(b, mapped, 12)) return b[12] == 127 || !memcmp(b + 12, none, 4);
    return !memcmp(b, one, 16) || !memcmp(b, none, 16);
}

static bool is_v4(const struct sockaddr_storage *a) {
    uint8_t b[16];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    raw_address(a, b);
    return !memcmp(b, mapped, 12);
}

struct listener *listener_on(int family, uint16_t port, bool datagram) {
    for (unsigned i = 0; i < MAX_LISTENERS; i++)
        if (listeners[i].fd && listeners[i].port == port && listeners[i].family == family &&
            listeners[i].datagram == datagram)
            return &listeners[i];
    return NULL;
}

static bool open_listener(struct listener *l, int family, uint16_t port, bool datagram) {
    int one = 1, fd = socket(family, (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_storage a = {.ss_family = (sa_family_t)family};
    socklen_t size = sizeof(struct sockaddr_in);
    if (family == AF_INET6) {
        size = sizeof(struct sockaddr_in6);
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        ((struct sockaddr_in6 *)&a)->sin6_port = htons(port);
        if (datagram) setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
        /* To answer from addresses that a route makes local and no interface has (IPv4 asks the routes alone). */
        setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof one);
    } else {
        ((struct sockaddr_in *)&a)->sin_port = htons(port);
        if (datagram) setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
    }
    if (bind(fd, (struct sockaddr *)&a, size) || (!datagram && listen(fd, 4096))) {
        close(fd);
        return false;
    }
    *l = (struct listener){.fd = fd, .family = (uint16_t)family, .port = port, .datagram = datagram};
    watch_fd(fd, datagram ? E_UDP : E_LISTEN, (uint32_t)(l - listeners), EPOLLIN);
    return true;
}

/* Makes sure that something answers there. */
static struct listener *ensure(int family, uint16_t port, bool datagram) {
    struct listener *l = listener_on(family, port, datagram);
    if (l || bit(taken, port)) return l;
    if (listener_count == MAX_LISTENERS) {
        lost("network", "the package reached for more ports than can be answered", 1);
        return NULL;
    }
    for (unsigned i = 0; i < MAX_LISTENERS; i++)
        if (!listeners[i].fd) {
            if (!open_listener(&listeners[i], family, port, datagram)) return NULL;
            listener_count++;
            return &listeners[i];
        }
    return NULL;
}

/* Answers on a port before anybody reaches for it: an untraced phase cannot ask. */
void net_listen(uint16_t port) {
    ensure(AF_INET, port, false);
    ensure(AF_INET, port, true);
    ensure(AF_INET6, port, false);
    ensure(AF_INET6, port, true);
}

/* The package is about to listen: our own listener on that port makes room. */
void net_before_bind(const struct sockaddr_storage *address) {
    if (address->ss_family != AF_INET && address->ss_family != AF_INET6) return;
    uint16_t port = port_of(address);
    if (port < OWN_PORTS) return;
    taken[port / 8] |= (uint8_t)(1 << (port % 8));
    for (unsigned i = 0; i < MAX_LISTENERS; i++)
        if (listeners[i].fd && listeners[i].port == port) {
            if (!listeners[i].datagram) listener_ready(i);
            close(listeners[i].fd);
            listeners[i].fd = 0;
            listener_count--;
        }
}

/* Connects without waiting. On the loopback the answer is there at once; a socket that throws away what comes to it
 * (a filter of its own, a minimal TTL) would have us wait for minutes, and the guest and the host with us. */
static int connect_now(int fd, const struct sockaddr_storage *to, socklen_t size) {
    struct timeval asked = {0}, brief = {.tv_usec = CONNECT_USEC};
    socklen_t length = sizeof asked;
    bool limited = getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &asked, &length) == 0;
    if (limited) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof brief);
    int result = connect(fd, (const struct sockaddr *)to, size) ? -errno : 0;
    if (limited) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &asked, sizeof asked);
    return result == -EINPROGRESS && !(fcntl(fd, F_GETFL) & O_NONBLOCK) ? -ETIMEDOUT : result;
}

static void claim(int fd, pid_t tgid, bool datagram) {
    struct sockaddr_storage a;
    socklen_t size = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &size) == 0 && (a.ss_family == AF_INET || a.ss_family == AF_INET6))
        owners[datagram][port_of(&a)] = tgid;
}

/* Connects the package's own socket (`fd` is our copy). Sets `answered` where that was done here. */
int net_connect(pid_t tid, pid_t tgid, int fd, const struct sockaddr_storage *to, socklen_t size, bool *answered) {
    (void)tid;
    int type = 0;
    socklen_t length = sizeof type;
    uint16_t port = port_of(to);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) || (type != SOCK_STREAM && type != SOCK_DGRAM)) return 0;
    bool datagram = type == SOCK_DGRAM;
    /* A server of the package's own could make us wait; inside the guest nothing is hidden from us anyway. */
    if (bit(taken, port) || (is_loopback(to) && !bit(planned, port))) return 0;
    struct listener *l = ensure(is_v4(to) ? AF_INET : AF_INET6, port, datagram);
    if (!l && !datagram) return 0;
    if (l && !datagram) listener_ready((unsigned)(l - listeners)); /* so that its queue is never full */
    int result = connect_now(fd, to, size);
    if (result == 0 || result == -EINPROGRESS) claim(fd, tgid, datagram);
    *answered = true;
    return result;
}

int net_send(pid_t tid, pid_t tgid, int fd, const struct sockaddr_storage *to, socklen_t size, uint64_t data,
             uint64_t length, int flags, bool *answered) {
    static uint8_t bytes[64 << 10];
    int type = 0;
    socklen_t n = sizeof type;
    uint16_t port = port_of(to);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) || (is_loopback(to) && !bit(planned, port))) return 0;
    ensure(is_v4(to) ? AF_INET : AF_INET6, port, type == SOCK_DGRAM);
    if (type != SOCK_DGRAM || bit(taken, port) || length > sizeof bytes) return 0;
    if (length && guest_read(tid, data, bytes, length) != (ssize_t)length) return 0;
    ssize_t sent = sendto(fd, bytes, length, flags | MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to, size);
    if (sent < 0 && errno == EAGAIN) return 0;
    int result = sent < 0 ? -errno : (int)sent;
    claim(fd, tgid, true);
    *answered = true;
    return result;
}

/* A message is about to be sent by the kernel: makes sure that something answers, and knows whose the port is. */
void net_expect(pid_t tgid, int fd, const struct sockaddr_storage *to) {
    int type = 0;
    socklen_t n = sizeof type;
    if (to->ss_family != AF_INET && to->ss_family != AF_INET6) return;
    bool datagram = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) || type == SOCK_DGRAM;
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    if (datagram && getsockname(fd, (struct sockaddr *)&own, &size) == 0 &&
        (own.ss_family == AF_INET || own.ss_family == AF_INET6)) {
        /* What the kernel would do when it sends; here, so that the port is known before the bytes arrive. */
        if (!port_of(&own) && bind(fd, (struct sockaddr *)&own, size)) {}
        claim(fd, tgid, true);
    }
    if (!is_loopback(to) || bit(planned, port_of(to))) ensure(is_v4(to) ? AF_INET : AF_INET6, port_of(to), datagram);
}
