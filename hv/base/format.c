/* SPDX-License-Identifier: BSD-2-Clause */
/* str_format: the printf subset of the log and the dumps. */
#include <stdarg.h>

#include <hv/base/string.h>

struct sink {
	char *buf;
	size_t size;
	size_t len;
};

struct spec {
	bool left;
	bool zero;
	int width;
	int precision;
	int longs;
};

static void put(struct sink *s, char c)
{
	if (s->len + 1 < s->size)
		s->buf[s->len] = c;
	s->len++;
}

static void put_padded(struct sink *s, const struct spec *sp, const char *str, int len)
{
	int pad = sp->width - len;

	if (!sp->left)
		for (; pad > 0; pad--)
			put(s, sp->zero ? '0' : ' ');
	for (int i = 0; i < len; i++)
		put(s, str[i]);
	for (; pad > 0; pad--)
		put(s, ' ');
}

static void put_number(struct sink *s, struct spec *sp, u64 v, unsigned int base, bool negative)
{
	char digits[24];
	int n = sizeof(digits);

	do {
		digits[--n] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (negative && sp->zero) {
		put(s, '-');
		sp->width--;
	} else if (negative) {
		digits[--n] = '-';
	}
	put_padded(s, sp, digits + n, (int)sizeof(digits) - n);
}

static void put_string(struct sink *s, struct spec *sp, const char *str)
{
	int len = 0;

	if (!str)
		str = "(null)";
	while (str[len] && (sp->precision < 0 || len < sp->precision))
		len++;
	sp->zero = false;
	put_padded(s, sp, str, len);
}

static const char *parse_spec(const char *f, struct spec *sp, va_list *ap)
{
	*sp = (struct spec){ .precision = -1 };
	for (;; f++) {
		if (*f == '-')
			sp->left = true;
		else if (*f == '0')
			sp->zero = true;
		else
			break;
	}
	if (*f == '*') {
		sp->width = va_arg(*ap, int);
		f++;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		sp->width = sp->width * 10 + (*f - '0');
	if (*f == '.') {
		sp->precision = 0;
		if (*++f == '*') {
			sp->precision = va_arg(*ap, int);
			f++;
		}
		for (; *f >= '0' && *f <= '9'; f++)
			sp->precision = sp->precision * 10 + (*f - '0');
	}
	for (; *f == 'l' || *f == 'z'; f++)
		sp->longs++;
	return f;
}

static void put_spec(struct sink *s, char conv, struct spec *sp, va_list *ap)
{
	char c;
	s64 d;

	switch (conv) {
	case 'c':
		c = (char)va_arg(*ap, int);
		put_padded(s, sp, &c, 1);
		break;
	case 's':
		put_string(s, sp, va_arg(*ap, const char *));
		break;
	case 'd':
	case 'i':
		d = sp->longs ? va_arg(*ap, long) : va_arg(*ap, int);
		put_number(s, sp, d < 0 ? 0 - (u64)d : (u64)d, 10, d < 0);
		break;
	case 'u':
	case 'x':
		put_number(s, sp,
			   sp->longs ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned int),
			   conv == 'x' ? 16 : 10, false);
		break;
	case 'p':
		put_number(s, sp, (u64)(uintptr_t)va_arg(*ap, void *), 16, false);
		break;
	default:
		put(s, conv);
	}
}

int str_vformat(char *buf, size_t size, const char *fmt, va_list args)
{
	struct sink s = { .buf = buf, .size = size };
	struct spec sp;
	va_list ap;

	va_copy(ap, args);
	for (const char *f = fmt; *f; f++) {
		if (*f != '%') {
			put(&s, *f);
			continue;
		}
		f = parse_spec(f + 1, &sp, &ap);
		if (!*f)
			break;
		put_spec(&s, *f, &sp, &ap);
	}
	va_end(ap);
	if (size)
		buf[s.len < size ? s.len : size - 1] = '\0';
	return (int)s.len;
}

int str_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = str_vformat(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

bool str_copy(char *dst, const char *src, size_t size)
{
	size_t i = 0;

	for (; size && i + 1 < size && src[i]; i++)
		dst[i] = src[i];
	if (size)
		dst[i] = '\0';
	return !src[i];
}
