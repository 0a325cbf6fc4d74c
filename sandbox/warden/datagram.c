/* Datagrams: carried to the host with the address that was asked, and answered from it. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static void asked_address(struct msghdr *m, struct sockaddr_storage *to) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            to->ss_family = AF_INET;
            ((struct sockaddr_in *)to)->sin_addr = ((struct in_pktinfo *)CMSG_DATA(c))->ipi_addr;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            to->ss_family = AF_INET6;
            ((struct sockaddr_in6 *)to)->sin6_addr = ((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_addr;
        }
    }
}

void udp_ready(unsigned index) {
    static uint8_t bytes[64 << 10];
    for (int i = 0; i < 64; i++) {
        struct sockaddr_storage from = {0}, to = {0};
        char control[128] __attribute__((aligned(8)));
        struct iovec iov = {bytes, sizeof bytes};
        struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1,
                           .msg_control = control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(listeners[index].fd, &m, MSG_DONTWAIT);
        if (n < 0) return;
        asked_address(&m, &to);
        uint8_t address[16];
        frame_begin(W_DATAGRAM, (uint32_t)owners[1][port_of(&from)]);
        frame_u64(now_ns());
        raw_address(&to, address);
        frame_bytes(address, 16);
        frame_u32(listeners[index].port);
        raw_address(&from, address);
        frame_bytes(address, 16);
        frame_u32(port_of(&from));
        frame_bytes(bytes, (size_t)n);
        frame_end();
    }
}

struct reply {
    uint8_t from[16];
    uint32_t from_port;
    uint8_t to[16];
    uint32_t to_port;
} __attribute__((packed));

void datagram_reply(const uint8_t *data, uint32_t size) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct reply r;
    if (size < sizeof r) return;
    memcpy(&r, data, sizeof r);
    bool v4 = !memcmp(r.to, mapped, 12);
    struct listener *l = listener_on(v4 ? AF_INET : AF_INET6, (uint16_t)r.from_port, true);
    if (!l) return;
    struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)r.to_port)};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)r.to_port)};
    memcpy(&to4.sin_addr, r.to + 12, 4);
    memcpy(&to6.sin6_addr, r.to, 16);
    char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] __attribute__((aligned(8))) = {0};
    struct iovec iov = {(void *)(uintptr_t)(data + sizeof r), size - sizeof r};
    struct msghdr m = {.msg_name = v4 ? (void *)&to4 : (void *)&to6, .msg_namelen = v4 ? sizeof to4 : sizeof to6,
                       .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = v4 ? CMSG_SPACE(sizeof(struct in_pktinfo)) : sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (v4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, r.from + 12, 4);
        c->cmsg_level = IPPROTO_IP, c->cmsg_type = IP_PKTINFO, c->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(c), &info, sizeof info);
    } else {
        struct in6_pktinfo info = {0};
        memcpy(&info.ipi6_addr, r.from, 16);
        c->cmsg_level = IPPROTO_IPV6, c->cmsg_type = IPV6_PKTINFO, c->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(c), &info, sizeof info);
    }
    sendmsg(l->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}
