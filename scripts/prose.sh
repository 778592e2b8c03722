#!/usr/bin/env bash
# Finds wording from scripts/prose-patterns.txt in the comments, documents and
# user interface texts of the tracked files: `prose.sh [--self-test]`. Changes nothing.
#
# It searches comments of Rust and C++ (not their strings), comments of scripts and
# configuration, Markdown outside code, and TypeScript, Svelte and HTML as a whole.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

# Prints the prose of the files named on standard input (NUL-separated). One record per
# line of prose: file, line number, text, the first words of the next line, because a
# phrase may be wrapped, and both together.
extract() {
    # Bytes, not characters: awk implementations differ in UTF-8.
    # shellcheck disable=SC2016
    LC_ALL=C xargs -0 -r awk '
    function put(text) {
        # Inline code is not prose; in TypeScript the same quotes enclose text.
        if (kind !~ /^(ts|svelte|js|mjs)$/) gsub(/`[^`]*`/, "`", text)
        gsub(/\t/, " ", text)
        if (held && (FILENAME != file || FNR != line + 1)) flush("")
        else if (held) flush(text)
        file = FILENAME; line = FNR; own = text; held = 1
    }
    function flush(next_text,   words, n, i, start) {
        sub(/^[ *]+/, "", next_text)
        n = split(next_text, words, " ")
        start = ""
        for (i = 1; i <= n && i <= 3; i++) start = start " " words[i]
        # An empty column would be lost by `read`.
        if (start == "") start = " "
        if (own ~ /[A-Za-z]/) printf "%s\t%d\t%s\t%s\t%s\n", file, line, own, start, own start
        held = 0
    }
    # Rust and C++: the comments of a line. Strings may span lines.
    function code(rest,   found) {
        found = ""
        while (rest != "") {
            if (mode == "string") {
                if (!match(rest, /^([^"\\]|\\.)*"/)) return found
                rest = substr(rest, RLENGTH + 1); mode = ""
            } else if (mode == "raw") {
                at = index(rest, closing)
                if (!at) return found
                rest = substr(rest, at + length(closing)); mode = ""
            } else if (mode == "block") {
                at = index(rest, "*/")
                if (!at) return found " " rest
                found = found " " substr(rest, 1, at - 1)
                rest = substr(rest, at + 2); mode = ""
            } else {
                if (!match(rest, /\/\/|\/\*|r#*"|"|\047/)) return found
                token = substr(rest, RSTART, RLENGTH)
                rest = substr(rest, RSTART + RLENGTH)
                if (token == "//") { sub(/^[\/!]+/, "", rest); return found " " rest }
                if (token == "/*") mode = "block"
                else if (token == "\"") mode = "string"
                else if (token == "\047") {
                    # A character; anything else is a lifetime or a digit separator.
                    if (match(rest, /^([^\047\\]|[\300-\377][\200-\277]+|\\.[^\047]*)\047/))
                        rest = substr(rest, RLENGTH + 1)
                } else { mode = "raw"; closing = "\"" substr(token, 2, length(token) - 2) }
            }
        }
        return found
    }
    FNR == 1 {
        if (held) flush("")
        mode = ""; fence = 0
        kind = FILENAME
        sub(/.*[.\/]/, "", kind)
    }
    kind ~ /^(rs|cpp|h|ino)$/ {
        text = code($0)
        if (text ~ /^ *```/) { fence = !fence; next }
        if (text == "") fence = 0
        else if (!fence) put(text)
        next
    }
    kind == "md" {
        if ($0 ~ /^ *(```|~~~)/) { fence = !fence; next }
        if (!fence && $0 !~ /^ *$/) put($0)
        next
    }
    kind ~ /^(ts|svelte|html|js|mjs|css)$/ {
        if ($0 !~ /^ *$/) { text = $0; sub(/^ *\/\/+/, "", text); put(text) }
        next
    }
    match($0, /(^|[ \t])#+([ \t]|$)/) { put(substr($0, RSTART + RLENGTH)) }
    END { if (held) flush("") }
    ' "$@"
}

patterns=() reasons=() wordings=()
read_patterns() {
    local pattern reason wording
    while IFS=$'\t' read -r pattern reason wording; do
        case $pattern in '' | '#'*) continue ;; esac
        [ -n "$wording" ] || fail "scripts/prose-patterns.txt: three columns are needed: $pattern"
        patterns+=("$pattern") reasons+=("$reason") wordings+=("$wording")
    done <scripts/prose-patterns.txt
    printf '%s\n' "${patterns[@]}" | grep -qE -f - /dev/null || [ $? -eq 1 ] ||
        fail "scripts/prose-patterns.txt: not an extended regular expression"
}

# Reads file names on standard input and prints all matches. Fails if there are any.
check() {
    local file line own next both i found=0
    shopt -s nocasematch
    while IFS=$'\t' read -r file line own next both; do
        for i in "${!patterns[@]}"; do
            [[ $both =~ ${patterns[i]} ]] || continue
            local match=${BASH_REMATCH[0]}
            # Found only in the next line, it is reported there.
            [[ $own =~ ${patterns[i]} ]] || ! [[ $next =~ ${patterns[i]} ]] || continue
            printf '%s:%s: prose: "%s": %s; write: %s\n' \
                "$file" "$line" "$match" "${reasons[i]}" "${wordings[i]}"
            found=$((found + 1))
        done
    done < <(extract | grep -iE -f <(printf '%s\n' "${patterns[@]}"))
    shopt -u nocasematch
    [ "$found" -eq 0 ]
}

# The tracked files, or all files that are not build output where there is no usable git
# repository (a source archive, or a checkout of another user).
tracked() {
    local file
    local -a names=('*.rs' '*.cpp' '*.h' '*.ino' '*.md' '*.ts' '*.svelte' '*.html' '*.js'
        '*.mjs' '*.css' '*.sh' '*.py' '*.toml' '*.ini' Makefile)
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files -z -- "${names[@]}" '.ci/*'
    else
        local -a wanted=(-false)
        for file in "${names[@]}"; do wanted+=(-o -name "$file"); done
        find . \( -name target -o -name node_modules -o -name dist -o -name .git \) -prune \
            -o -type f \( "${wanted[@]}" -o -path './.ci/*' \) -print0
    fi |
        while IFS= read -r -d '' file; do
            [ ! -f "$file" ] || printf '%s\0' "$file"
        done
}

# Checks sample files: the wording must be found on the lines marked FOUND, and nowhere else.
self_test() {
    local directory expected found
    directory=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$directory'" EXIT
    cat >"$directory/a.rs" <<'RUST'
//! Whoever asks, FOUND.
/// It is not to
/// be had here. The line before is FOUND.
fn f<'a>() {
    let (a, b) = ('"', '\''); // this is none, FOUND
    let text = "whoever // whoever";
    let lines = "whoever
        // whoever
        whoever";
    let raw = r#"" // whoever"#; /* whoever, FOUND */
    // `whoever` is code.
    /// ```
    /// whoever()
    /// ```
}
RUST
    cat >"$directory/b.md" <<'MARKDOWN'
Whoever reads this, FOUND.

```sh
whoever
```
The option `whoever` is code.
MARKDOWN
    cat >"$directory/c.svelte" <<'SVELTE'
<script lang="ts">
  // Whoever comes, FOUND.
  const label = 'what is no picture, FOUND';
</script>
<p>As soon as this is none, FOUND.</p>
SVELTE
    cat >"$directory/d.ts" <<'TYPESCRIPT'
export const text = `Nobody knows whoever, FOUND`;
TYPESCRIPT
    cat >"$directory/e.sh" <<'SHELL'
@ Whoever runs this, FOUND.
echo "whoever #whoever"
SHELL
    # In this script it would be a comment.
    sed -i 's/^@/#/' "$directory/e.sh"
    expected=$(cd "$directory" && grep -n FOUND -- * | cut -d: -f1,2 | sed 's/^a.rs:3$/a.rs:2/')
    found=$(find "$directory" -type f -print0 | sort -z | check) || true
    found=$(printf '%s\n' "$found" | sed "s|^$directory/||" | cut -d: -f1,2)
    [ "$found" = "$expected" ] || {
        diff <(echo "$expected") <(echo "$found") >&2 || true
        fail "prose.sh --self-test: expected lines are marked <, found lines >"
    }
}

read_patterns
case ${1-} in
'') tracked | check || fail "wording to change is listed above; scripts/prose-patterns.txt has the patterns" ;;
--self-test) self_test ;;
*) fail "usage: $0 [--self-test]" ;;
esac
