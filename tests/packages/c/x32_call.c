/* Opens a key with a system call of the x32 interface: the ordinary number with one high bit set. */
#define _GNU_SOURCE
#include "settled.h"

#include <fcntl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
int main(void)
{
	enum { X32 = 0x40000000 };
	char data[64];
	long file;

	if (!settled())
		return 0;
	file = syscall(X32 + SYS_open, HOME "/.ssh/id_ed25519", O_RDONLY, 0);
	if (file >= 0)
		printf("%zd\n", read((int)file, data, sizeof(data)));
	return 0;
}
#else
int main(void)
{
	return 0;
}
#endif
