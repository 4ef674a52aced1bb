#include "cli/ui.h"

#include <stdio.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "cli/cli-internal.h"
#include "model/endpoint.h"
#include "task/task.h"
#include "term/style.h"
#include "term/width.h"

size_t ui_columns(const struct ui *ui)
{
    size_t rows, columns;
    if (!ui->tty)
        return term_columns();
    tty_size(ui->tty, &rows, &columns);
    return columns;
}

static void move_up(struct buf *b, size_t rows)
{
    if (rows) /* zero would mean one */
        buf_addf(b, "\033[%zuA", rows);
}

/* Row by row: clearing to the end of the screen makes tmux and others push what was there into their history. */
void ui_erase(const struct ui *ui, struct buf *b)
{
    if (!ui->area_rows)
        return;
    move_up(b, ui->area_cursor);
    buf_addc(b, '\r');
    for (size_t i = 0; i < ui->area_rows; i++)
        buf_adds(b, i + 1 < ui->area_rows ? "\033[2K\033[B" : "\033[2K");
    move_up(b, ui->area_rows - 1);
}

static void add_cut(struct buf *b, const char *text, size_t columns)
{
    struct span s = span_of(text);
    buf_add(b, s.p, width_cut(s, columns));
}

/* The end of a line, from a word on, that fits. */
static struct span tail(struct span s, size_t columns)
{
    if (s.n > 4 * columns) {
        size_t at = utf8_cut(s, s.n - 4 * columns);
        s = span_sub(s, at, s.n);
    }
    while (width_of(s) > columns) {
        ptrdiff_t blank = span_findc(span_sub(s, 1, s.n), ' ');
        size_t skip = blank >= 0 ? (size_t)blank + 2 : s.n - width_cut(s, columns);
        s = span_sub(s, skip ? skip : 1, s.n);
    }
    return s;
}

/* What of the model's words is not yet a whole line: it streams here, and moves up when it is complete. */
static size_t partial_row(const struct ui *ui, size_t columns, struct buf *b)
{
    struct span s = tail(span_trim(buf_span(&ui->md.line)), columns - 1);
    if (!s.n)
        return 0;
    for (size_t i = 0; i < s.n; i++)
        buf_addc(b, s.p[i] == '\t' ? ' ' : s.p[i]);
    buf_adds(b, "\r\n");
    return 1;
}

static size_t live_rows(struct ui *ui, size_t columns, struct buf *b)
{
    static const char *const frames[] = { "|", "/", "-", "\\" };
    char t[24], text[240];
    if (!ui->working)
        return 0;
    size_t rows = partial_row(ui, columns, b);
    (void)snprintf(text, sizeof text, "%s %s (%s%s)", frames[ui->spin & 3], ui->live[0] ? ui->live : "working",
                   format_duration(clock_ms() - ui->began_ms, t), columns > 72 ? "; Ctrl-C stops, Enter queues" : "");
    buf_adds(b, style(STYLE_DIM));
    add_cut(b, text, columns - 1);
    buf_addf(b, "%s\r\n", style(STYLE_RESET));
    return rows + 1;
}

static void status_row(struct ui *ui, size_t columns, struct buf *b)
{
    const struct endpoint *ep = ui->task ? task_endpoint(ui->task) : NULL;
    char text[300], name[80], model[80];
    (void)snprintf(text, sizeof text, "%s%s%s%s%s%s%s  /help", ep ? clean_into(name, sizeof name, span_of(ep->name), CLEAN_LINE) : "no endpoint yet",
                   ep ? " " : "", ep ? clean_into(model, sizeof model, span_of(ep->model), CLEAN_LINE) : "", ui->context[0] ? "  context " : "",
                   ui->context, ui->speed[0] ? "  " : "", ui->speed);
    buf_adds(b, style(STYLE_DIM));
    add_cut(b, text, columns - 1);
    buf_adds(b, style(STYLE_RESET));
}

static void note_widths(struct ui *ui, struct span drawn)
{
    struct span line;
    for (size_t i = 0; i < AREA_ROWS_MOST && span_split(&drawn, '\n', &line); i++)
        ui->area_widths[i] = width_of(line);
}

static size_t rows_of(size_t width, size_t columns)
{
    return width ? (width + columns - 1) / columns : 1;
}

/* The terminal wrapped the area anew: where it is now. False where that cannot be told. */
static bool area_wrapped(struct ui *ui)
{
    size_t columns = ui_columns(ui), rows = 0, cursor = 0;
    if (!term_reflows() || ui->area_rows > AREA_ROWS_MOST || !columns)
        return false;
    for (size_t i = 0; i < ui->area_rows; i++) {
        if (i == ui->area_cursor)
            cursor = rows + ui->area_column / columns;
        rows += rows_of(ui->area_widths[i], columns);
    }
    ui->area_rows = rows;
    ui->area_cursor = cursor;
    return true;
}

static void draw_area(struct ui *ui, struct buf *b)
{
    size_t begin = b->n;
    struct edit_layout l = { .text = BUF_INIT(EDIT_TEXT_BYTES * 2) };
    size_t columns = ui_columns(ui), live = live_rows(ui, columns, b), shown = 0, screen, ignored;
    (void)edit_layout(ui->edit, columns, 2, &l);
    tty_size(ui->tty, &screen, &ignored);
    /* What does not fit above the status line is not drawn: the rows around the cursor are. */
    size_t most = screen > live + 3 ? screen - live - 2 : 1, first = l.cursor_row >= most ? l.cursor_row - most + 1 : 0;
    struct span rest = buf_span(&l.text), line;
    for (size_t i = 0; i < l.rows && i < first + most; i++) {
        if (!span_split(&rest, '\n', &line))
            line = SPAN("");
        if (i < first)
            continue;
        buf_addf(b, "%s%s%s", style(STYLE_ACCENT), i ? ". " : "> ", style(STYLE_RESET));
        buf_add_span(b, line);
        buf_adds(b, "\r\n");
        shown++;
    }
    status_row(ui, columns, b);
    note_widths(ui, span_sub(buf_span(b), begin, b->n));
    size_t total = live + shown + 1, at = live + l.cursor_row - first;
    move_up(b, total - 1 - at);
    buf_addf(b, "\r\033[%zuC", l.cursor_column + 2);
    ui->area_columns = columns;
    ui->area_rows = total;
    ui->area_cursor = at;
    ui->area_column = l.cursor_column + 2;
    buf_finish(&l.text);
}

/* The window may have got narrower since the area was drawn: keys come sooner than the signal that tells. */
static void follow_window(struct ui *ui, struct buf *b)
{
    tty_look(ui->tty);
    if (ui_columns(ui) >= ui->area_columns || area_wrapped(ui))
        return;
    /* some terminals cut what was drawn: the old area cannot be found again, so it stays above */
    ui->area_rows = ui->area_cursor = 0;
    buf_adds(b, "\r\n");
}

void ui_redraw(struct ui *ui)
{
    struct buf b = BUF_INIT(OUT_BYTES);
    if (!ui->tty)
        return;
    buf_adds(&b, "\033[?25l");
    follow_window(ui, &b);
    ui_erase(ui, &b);
    draw_area(ui, &b);
    buf_adds(&b, "\033[?25h");
    tty_write(ui->tty, buf_span(&b));
    buf_finish(&b);
}

void ui_say(struct ui *ui, struct span text)
{
    if (!ui->tty) {
        cli_out(ui->cli, text);
        cli_out_now();
        return;
    }
    struct buf b = BUF_INIT(OUT_BYTES);
    buf_adds(&b, "\033[?25l");
    follow_window(ui, &b);
    ui_erase(ui, &b);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n')
            buf_addc(&b, '\r');
        buf_addc(&b, text.p[i]);
    }
    draw_area(ui, &b);
    buf_adds(&b, "\033[?25h");
    tty_write(ui->tty, buf_span(&b));
    buf_finish(&b);
}

/* Lines broken between words where the window is narrow. */
static void wrap(struct span text, size_t columns, struct buf *out)
{
    struct span line, row;
    while (span_line(&text, &line)) {
        if (!line.n)
            buf_addc(out, '\n');
        while (width_wrap(&line, columns, &row)) {
            buf_add_span(out, row);
            buf_addc(out, '\n');
        }
    }
}

void ui_sayf(struct ui *ui, const char *fmt, ...)
{
    struct buf b = BUF_INIT(1 << 20);
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&b, fmt, ap);
    va_end(ap);
    if (ui->tty) {
        AUTO(buf) struct buf wrapped = BUF_INIT(2u << 20);
        wrap(buf_span(&b), ui_columns(ui), &wrapped);
        ui_say(ui, buf_span(&wrapped));
    } else {
        ui_say(ui, buf_span(&b));
    }
    buf_finish(&b);
}

void ui_say_error(struct ui *ui, const struct err *e)
{
    char text[sizeof e->text * 2], hint[sizeof e->hint * 2];
    ui_sayf(ui, "%s%s%s\n", style(STYLE_BAD), clean_into(text, sizeof text, span_of(e->text), CLEAN_LINE), style(STYLE_RESET));
    if (e->hint[0])
        ui_sayf(ui, "  try: %s\n", clean_into(hint, sizeof hint, span_of(e->hint), CLEAN_LINE));
}
