/* Well-formed UTF-8. The table is that of RFC 3629, 4: what the second byte may be depends on the first, and that rules out every bad form. */
#include "config/utf8.h"

#include <string.h>

static const struct {
	unsigned char first_low, first_high, second_low, second_high;
	size_t length;
} forms[] = {
	{ 0x00, 0x7F, 0x00, 0x00, 1 },
	{ 0xC2, 0xDF, 0x80, 0xBF, 2 },
	{ 0xE0, 0xE0, 0xA0, 0xBF, 3 },
	{ 0xE1, 0xEC, 0x80, 0xBF, 3 },
	{ 0xED, 0xED, 0x80, 0x9F, 3 },
	{ 0xEE, 0xEF, 0x80, 0xBF, 3 },
	{ 0xF0, 0xF0, 0x90, 0xBF, 4 },
	{ 0xF1, 0xF3, 0x80, 0xBF, 4 },
	{ 0xF4, 0xF4, 0x80, 0x8F, 4 },
};

size_t
utf8_length(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (u[0] < forms[i].first_low || u[0] > forms[i].first_high)
			continue;
		if (forms[i].length == 1)
			return 1;
		if (n < forms[i].length || u[1] < forms[i].second_low || u[1] > forms[i].second_high)
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if ((u[k] & 0xC0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

void
utf8_shorten(char *out, size_t size, const char *text)
{
	static const char more[] = "...";
	size_t n = strlen(text), room = size - sizeof more, word;

	if (n < size) {
		memmove(out, text, n + 1);
		return;
	}
	for (word = room; word > room / 2 && text[word] != ' ';) /* a word of over half the text is cut */
		word--;
	if (text[word] == ' ')
		room = word;
	else
		while (room > 0 && ((unsigned char)text[room] & 0xC0) == 0x80)
			room--;
	memmove(out, text, room);
	memcpy(out + room, more, sizeof more);
}
