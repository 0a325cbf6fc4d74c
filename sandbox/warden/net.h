/* What the network sensor's files share. */
#ifndef NET_H
#define NET_H

#include "warden.h"

/* A socket of ours that answers on a port, whatever the address. */
struct listener {
    int fd;
    uint16_t family, port;
    bool datagram;
};

extern struct listener listeners[MAX_LISTENERS];
extern pid_t owners[2][65536]; /* whose port is it: by local port of the guest's socket, TCP and UDP */

void route_all(int family);
void connections_up(void);
uint16_t port_of(const struct sockaddr_storage *a);
void raw_address(const struct sockaddr_storage *a, uint8_t bytes[16]);
struct listener *listener_on(int family, uint16_t port, bool datagram);

#endif
