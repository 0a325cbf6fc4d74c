/* How the hostile programs read bait: an ordinary open, of a file that a guest plants. Nothing is sent. */
#ifndef READ_KEY_H
#define READ_KEY_H

#include "settled.h"

#include <fcntl.h>

#define KEY HOME "/.ssh/id_ed25519"

static int read_key(void)
{
	char data[64];
	int file = open(KEY, O_RDONLY | O_CLOEXEC);
	ssize_t size = file < 0 ? -1 : read(file, data, sizeof(data));

	if (file >= 0)
		close(file);
	return size > 0;
}

#endif
