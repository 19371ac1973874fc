/* The texts of JSON rows as test_numbered.py's children cause them, a hundred times as fast as json.loads.
 *
 * Built as a library; `texts` is all of it.
 */
#include <string.h>

struct place {
    const char *at, *end;
};

static int word(struct place *p, const char *wanted) {
    size_t length = strlen(wanted);
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, wanted, length) != 0) return 0;
    p->at += length;
    return 1;
}

/* One or more of the digits, letters, blanks and marks that JSON writes as they are, and their length. */
static size_t plain(struct place *p, const char *marks) {
    const char *start = p->at;
    while (p->at < p->end) {
        char c = *p->at;
        int letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (c == 0 || strchr(marks, c) == NULL)) break;
        p->at++;
    }
    return p->at - start;
}

static int head(struct place *p) {
    return word(p, "{\"ts\":\"") && plain(p, ":.-") == 27 && word(p, "\",\"service\":\"") && plain(p, "-") > 0 &&
           word(p, "\",\"instance\":null,\"run\":") && plain(p, "") > 0 &&
           word(p, ",\"stream\":\"stdout\",\"pid\":") && plain(p, "") > 0 && word(p, ",\"message\":\"");
}

/* Write what whole rows tell to `out`, which has as much room as they have: of a row with fields these, of others the
 * message, and a newline. The length; -1 where a row is not of this simple kind, such as that of a part of a line. */
long texts(const char *rows, size_t size, char *out) {
    struct place p = {rows, rows + size};
    char *to = out;
    while (p.at < p.end) {
        if (!head(&p)) return -1;
        const char *text = p.at;
        size_t length = plain(&p, " ");
        if (!word(&p, "\",\"partial\":false")) return -1;
        if (word(&p, ",\"level\":\"info\",\"fields\":")) {
            const char *fields = p.at;
            if (!word(&p, "{\"level\":\"info\",\"msg\":\"")) return -1;
            if ((size_t)(p.end - p.at) < length || memcmp(p.at, text, length) != 0) return -1;
            p.at += length;
            if (!word(&p, "\"}")) return -1;
            text = fields;
            length = p.at - fields;
        }
        if (!word(&p, "}\n")) return -1;
        memcpy(to, text, length);
        to[length] = '\n';
        to += length + 1;
    }
    return to - out;
}
