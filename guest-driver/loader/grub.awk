# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Reads a grub.cfg and prints the entries of its menu that start a Linux, in the form that
# guest-driver/loader/menu.sh describes.
#
# It follows GRUB's grammar ("Shell-like scripting" in GRUB's manual) as far as update-grub uses
# it: words, quotes, variables, blocks.  Conditions are not evaluated: the commands of all branches
# count, and the first `linux` and the first `initrd` of an entry.
#
# -v env=FILE is the file that names grubenv's variables, and may be /dev/null.

BEGIN {
	while ((getline line < env) > 0) {
		at = index(line, "=")
		if (line !~ /^#/ && at)
			variable[substr(line, 1, at - 1)] = substr(line, at + 1)
	}
	# Meant for one boot.  Nobody here can take it out again, so it would be for all.
	variable["next_entry"] = ""
	variable["menuentry_id_option"] = "--id"
}

# A quote that is open at the end of a line goes on in the next one.
{ text = text $0 "\n" }

END {
	parse()
	print_menu()
}

# --- words ---------------------------------------------------------------------------

# The name of the variable at TEXT's place AT, behind a "$"; sets after_name to what follows it.
function name_at(at,    rest) {
	rest = substr(text, at, 200)
	if (match(rest, /^\{[A-Za-z0-9_?]+\}/)) {
		after_name = at + RLENGTH
		return substr(rest, 2, RLENGTH - 2)
	}
	if (match(rest, /^([A-Za-z_][A-Za-z0-9_]*|[0-9?@*#])/)) {
		after_name = at + RLENGTH
		return substr(rest, 1, RLENGTH)
	}
	after_name = at
	return ""
}

# "$" at AT: the variable's value; an unknown one is empty.
function expand(at,    name) {
	name = name_at(at + 1)
	if (name == "")
		return "$"
	return name in variable ? variable[name] : ""
}

# An unquoted, empty variable is no word at all.  A brace that stands alone ends a statement.
function end_word(    brace) {
	brace = !quoted && (word == "{" || word == "}")
	if (brace && word == "}" && count)
		run()
	if (word != "" || quoted) {
		words[++count] = word
		plain[count] = !quoted
	}
	word = ""
	quoted = 0
	if (brace)
		run()
}

function end_statement() {
	end_word()
	if (count)
		run()
}

# The single-quoted text from AT on; returns the place behind it.
function single(at,    length_of) {
	length_of = index(substr(text, at), "'")
	if (!length_of)
		length_of = length(text) - at + 2
	word = word substr(text, at, length_of - 1)
	return at + length_of
}

function double(at,    c) {
	for (c = substr(text, at, 1); c != "\"" && c != ""; c = substr(text, at, 1)) {
		if (c == "$") {
			word = word expand(at)
			at = after_name
		} else if (c == "\\" && substr(text, at + 1, 1) ~ /["\\$\n]/) {
			word = word (substr(text, at + 1, 1) == "\n" ? "" : substr(text, at + 1, 1))
			at += 2
		} else {
			word = word c
			at++
		}
	}
	return at + 1
}

function parse(    at, c, total) {
	total = length(text)
	for (at = 1; at <= total; ) {
		c = substr(text, at, 1)
		if (c == "'") {
			quoted = 1
			at = single(at + 1)
		} else if (c == "\"") {
			quoted = 1
			at = double(at + 1)
		} else if (c == "\\") {
			if (substr(text, at + 1, 1) != "\n")
				word = word substr(text, at + 1, 1)
			at += 2
		} else if (c == "$") {
			word = word expand(at)
			at = after_name
		} else if (c == "#" && word == "" && !quoted) {
			while (at <= total && substr(text, at, 1) != "\n")
				at++
		} else if (c == " " || c == "\t" || c == "\r") {
			end_word()
			at++
		} else if (c == "\n" || c == ";" || c == "|" || c == "&") {
			end_statement()
			at++
		} else {
			word = word c
			at++
		}
	}
	end_statement()
}

# --- statements ------------------------------------------------------------------------

# Carries out the statement that words[] has, and empties it.
function run() {
	statement()
	count = 0
}

function statement(    first, opens) {
	for (first = 1; first <= count && plain[first] && words[first] ~ /^(then|else|do|!)$/; )
		first++
	if (first > count)
		return
	if (plain[first] && words[first] == "}") {
		close_block()
		return
	}
	opens = plain[count] && words[count] == "{"
	if (opens && words[first] ~ /^(menuentry|submenu)$/)
		open_entry(first)
	else if (words[first] ~ /^linux(16|efi)?$/)
		set_linux(first)
	else if (words[first] ~ /^initrd(16|efi)?$/)
		set_initrd(first)
	else if (words[first] == "set" || words[first] ~ /^[A-Za-z_][A-Za-z0-9_]*=/)
		assign(words[first] == "set" ? first + 1 : first)
	if (opens && words[first] !~ /^(menuentry|submenu)$/)
		kind[++depth] = "other"
}

function assign(i,    at, name, value) {
	at = index(words[i], "=")
	if (i > count || !at)
		return
	name = substr(words[i], 1, at - 1)
	value = substr(words[i], at + 1)
	# The branch for an entry that was meant for one boot sets it to nothing.
	if (name != "default" || value != "")
		variable[name] = value
	if (name == "next_entry" || name == "menuentry_id_option")
		variable[name] = name == "next_entry" ? "" : "--id"
}

# menuentry TITLE [--class CLASS]... [--id ID] {, as the last word
function open_entry(i,    is, n) {
	is = words[i]
	level++
	title[level] = words[++i]
	id[level] = ""
	for (i++; i < count; i++) {
		if (words[i] == "--id")
			id[level] = words[++i]
		else if (words[i] ~ /^--(class|users|hotkey)$/)
			i++
		else if (words[i] ~ /^--id=/)
			id[level] = substr(words[i], 6)
	}
	n = children[level]++
	children[level + 1] = 0
	position[level] = (level > 1 ? position[level - 1] ">" : "") n
	number[level] = n
	kind[++depth] = is
	if (is == "menuentry")
		linux = options = initrd = ""
}

function close_block() {
	if (depth < 1)
		return
	if (kind[depth] == "menuentry" && linux != "")
		keep_entry()
	if (kind[depth] != "other")
		level--
	depth--
}

# "(hd0,gpt1)/boot/x" and "/boot/x" alike: the loader looks for it.
function path_of(file) {
	sub(/^\([^)]*\)/, "", file)
	return file
}

# GRUB puts quotes around a word with blanks in it.
function set_linux(i) {
	if (!level || linux != "" || i >= count)
		return
	linux = path_of(words[++i])
	for (i++; i <= count; i++)
		options = options (options == "" ? "" : " ") \
			(words[i] ~ /[ \t]/ ? "\"" words[i] "\"" : words[i])
}

function set_initrd(i) {
	if (!level || initrd != "")
		return
	for (i++; i <= count; i++)
		initrd = initrd (initrd == "" ? "" : " ") path_of(words[i])
}

# --- the menu ----------------------------------------------------------------------------

function keep_entry(    l) {
	entries++
	said[entries] = "position " position[level] "\nid " id[level] "\ntitle " title[level] \
		"\nlinux " linux "\ninitrd " initrd "\noptions " options
	levels[entries] = level
	for (l = 1; l <= level; l++) {
		part[entries, l, 1] = number[l]
		part[entries, l, 2] = id[l]
		part[entries, l, 3] = title[l]
	}
}

# Does entry E lie at or below "1>2", or the same with identifiers or titles?  ">>" is a ">" of a title.
function lies_at(e, wanted,    l, n, names) {
	gsub(/>>/, "\001", wanted)
	n = split(wanted, names, ">")
	if (n > levels[e] || !n)
		return 0
	for (l = 1; l <= n; l++) {
		gsub(/\001/, ">", names[l])
		if (names[l] != part[e, l, 1] "" && names[l] != part[e, l, 2] && names[l] != part[e, l, 3])
			return 0
	}
	return 1
}

function print_menu(    e, wanted, chosen) {
	wanted = variable["default"] == "" ? "0" : variable["default"]
	for (e = 1; e <= entries; e++) {
		print "entry " e
		print said[e]
		if (!chosen && lies_at(e, wanted))
			chosen = e
	}
	if (entries)
		print "default " (chosen ? chosen : 1)
	if (entries && !chosen)
		print "missing " wanted
}
