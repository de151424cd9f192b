# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Reads the files loader/entries/*.conf of the Boot Loader Specification and prints them as a menu,
# in the form that guest-driver/loader/menu.sh describes.
#
# -v env=FILE is grubenv, which some distributions keep the default and parts of the options in;
# -v settings=FILE is loader.conf.  Either may be /dev/null.

BEGIN {
	while ((getline line < env) > 0) {
		at = index(line, "=")
		if (line !~ /^#/ && at)
			variable[substr(line, 1, at - 1)] = substr(line, at + 1)
	}
	while ((getline line < settings) > 0)
		if (line ~ /^[ \t]*default[ \t]/)
			wanted = value_of(line)
	if (wanted == "")
		wanted = variable["saved_entry"]
}

function value_of(line) {
	sub(/^[ \t]*[^ \t]+[ \t]+/, "", line)
	sub(/[ \t\r]+$/, "", line)
	return line
}

# "$kernelopts" and the like: what grubenv says, or nothing.
function expanded(text,    out, name) {
	out = ""
	while (match(text, /\$\{?[A-Za-z_][A-Za-z0-9_]*\}?/)) {
		name = substr(text, RSTART, RLENGTH)
		gsub(/[${}]/, "", name)
		out = out substr(text, 1, RSTART - 1) (name in variable ? variable[name] : "")
		text = substr(text, RSTART + RLENGTH)
	}
	return out text
}

FNR == 1 {
	n++
	id[n] = FILENAME
	sub(/.*\//, "", id[n])
	sub(/\.conf$/, "", id[n])
}
/^[ \t]*(#|$)/ { next }
{
	key = $1
	value = value_of($0)
}
key == "title" || key == "version" || key == "linux" { is[n, key] = value }
key == "sort-key" { is[n, "order"] = value }
key == "options" || key == "initrd" {
	is[n, key] = is[n, key] (is[n, key] == "" ? "" : " ") value
}

# A version so that comparing texts compares numbers: each number has ten digits.
function padded(text,    out, digits) {
	out = ""
	while (match(text, /[0-9]+/)) {
		digits = substr(text, RSTART, RLENGTH)
		while (length(digits) < 10)
			digits = "0" digits
		out = out substr(text, 1, RSTART - 1) digits
		text = substr(text, RSTART + RLENGTH)
	}
	return out text
}

# "Sorting" in the specification: those with a sort-key come first, by that; then the newest first.
function before(a, b,    x, y) {
	x = is[a, "order"] ""
	y = is[b, "order"] ""
	if (x != y)
		return y == "" || x != "" && x < y
	x = padded(is[a, "version"]) ""
	y = padded(is[b, "version"]) ""
	if (x != y)
		return x > y
	return padded(id[a]) "" > padded(id[b]) ""
}

# A pattern of the shell, of which only * and ? are known.
function fits(name, pattern,    c, n) {
	if (pattern == "")
		return name == ""
	c = substr(pattern, 1, 1)
	if (c != "*")
		return name != "" && (c == "?" || c == substr(name, 1, 1)) &&
			fits(substr(name, 2), substr(pattern, 2))
	for (n = 1; n <= length(name) + 1; n++)
		if (fits(substr(name, n), substr(pattern, 2)))
			return 1
	return 0
}

END {
	for (i = 1; i <= n; i++) {
		for (j = ++kept; j > 1 && before(i, sorted[j - 1]); j--)
			sorted[j] = sorted[j - 1]
		sorted[j] = i
	}
	for (i = 1; i <= n; i++) {
		e = sorted[i]
		if (is[e, "linux"] == "")
			continue
		print "entry " ++shown
		print "position " shown - 1
		print "id " id[e]
		print "title " (is[e, "title"] == "" ? id[e] : is[e, "title"])
		print "linux " is[e, "linux"]
		print "initrd " expanded(is[e, "initrd"])
		print "options " expanded(is[e, "options"])
		if (!chosen && wanted != "" && (fits(id[e], wanted) || fits(id[e] ".conf", wanted)))
			chosen = shown
	}
	if (shown)
		print "default " (chosen ? chosen : 1)
	if (shown && wanted != "" && !chosen)
		print "missing " wanted
}
