/* The route that makes every address local. */
#include "net.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

void route_all(int family) {
    struct {
        struct nlmsghdr n;
        struct rtmsg r;
        char room[64];
    } q = {.n = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                 .nlmsg_type = RTM_NEWROUTE,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK},
           .r = {.rtm_family = (unsigned char)family, .rtm_table = RT_TABLE_LOCAL, .rtm_protocol = RTPROT_BOOT,
                 .rtm_scope = RT_SCOPE_HOST, .rtm_type = RTN_LOCAL}};
    struct rtattr *a = (struct rtattr *)((char *)&q + NLMSG_ALIGN(q.n.nlmsg_len));
    a->rta_type = RTA_OIF;
    a->rta_len = RTA_LENGTH(sizeof(int));
    int lo = (int)if_nametoindex("lo");
    memcpy(RTA_DATA(a), &lo, sizeof lo);
    q.n.nlmsg_len = NLMSG_ALIGN(q.n.nlmsg_len) + a->rta_len;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct {
        struct nlmsghdr n;
        struct nlmsgerr e;
        char room[256];
    } reply;
    if (fd < 0 || send(fd, &q, q.n.nlmsg_len, 0) < 0 || recv(fd, &reply, sizeof reply, 0) < 0) die("routes");
    if (reply.n.nlmsg_type == NLMSG_ERROR && reply.e.error) {
        errno = -reply.e.error;
        if (family == AF_INET) die("the route that makes every address local");
        lost("network", "no IPv6 in this guest", 0);
    }
    close(fd);
}
