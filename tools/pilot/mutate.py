#!/usr/bin/env python3
"""mutate: make every bug of kinds.txt, compile it, run it, and write down what it really answers.

    mutate.py kinds.txt out.json

A mutation changes one line of one implementation (an operator, a bound, a constant, a variable). A mutant
is kept when it compiles, ends, reads and writes nothing outside the data it was given (three runs with different
surroundings agree) and answers wrongly for at least one test input. out.json then has, per implementation,
the lines, the right answers, and the mutants with their answers: the generator's evidence is made of these. Mutants that crash, hang,
or read what they should not are kept apart ("wild"): wrong for certain, but with no fixed answer to show.
"""
import json, os, re, subprocess, sys, tempfile

FUEL_MS = 40

def parse(path):
    kinds, cur, impl = [], None, None
    for raw in open(path):
        line = raw.rstrip("\n")
        if line.startswith("#"):
            continue
        if line.startswith("@"):
            name, sig, train, held, doc = [p.strip() for p in line[1:].split("|")]
            cur = dict(name=name, sig=sig, names=train.split(), held=held.split(), docs=doc.split(";"), impls=[])
            kinds.append(cur)
            impl = []
        elif line.startswith("in:"):
            cur["inputs"] = eval(line[3:])
            cur["impls"].append(impl)
        elif line == "--":
            impl = []
            cur["impls"].append(impl)
        elif line.strip():
            impl.append(line)
    return kinds

# ---- mutation ----

SWAPS = [  # (pattern, replacements, class)
    (r" <= ", [" < ", " >= "], "comparison"), (r" >= ", [" > ", " <= "], "comparison"),
    (r" < ", [" <= ", " > "], "comparison"), (r" > ", [" >= ", " < "], "comparison"),
    (r" == ", [" != "], "condition"), (r" != ", [" == "], "condition"),
    (r" && ", [" || "], "condition"), (r" \|\| ", [" && "], "condition"), (r"!\$", ["$"], "condition"),
    (r" \+ ", [" - "], "operator"), (r"(?<=[\w\])]) - ", [" + "], "operator"), (r" \* (?=[\$\d(])", [" + ", " / "], "operator"),
    (r" / ", [" * ", " % "], "operator"), (r" % ", [" / "], "operator"), (r" & ", [" | "], "operator"),
    (r" \+= ", [" -= ", " = "], "update"), (r" -= ", [" += ", " = "], "update"), (r" \*= ", [" += ", " = "], "update"),
    (r" /= ", [" -= ", " %= "], "update"), (r" >>= ", [" <<= "], "update"), (r" &= ", [" |= "], "update"),
    (r"\+\+(?=;|\))", ["--"], "update"), (r"--(?=;|\))", ["++"], "update"),
    (r"= -\$", ["= $"], "operator"), (r"return -\$", ["return $"], "operator"), (r"\? -\$", ["? $"], "operator"),
    (r"<= \$n\b", ["< $n"], "bound"), (r"< \$n\b", ["< $n - 1"], "bound"), (r"\$n - 1\b", ["$n"], "bound"),
    (r" = 0;", [" = 1;"], "start"), (r" = 1;", [" = 0;"], "start"), (r"return 0;", ["return 1;"], "constant"),
    (r"return 1;", ["return 0;"], "constant"), (r"return -1;", ["return 0;", "return 1;"], "constant"),
    (r"return (\$\w+);", ["return -\\1;", "return \\1 + 1;"], "result"), (r"return \$\w+;", ["return 0;"], "constant"),
]

def mutants(lines):
    """(line index, new text, class) for every one-line change we know how to make"""
    out, seen = [], set()
    scope = set(re.findall(r"\$(\w+)", lines[0])) - {"f"}
    for k, line in enumerate(lines[1:], 1):
        found = []
        for pat, reps, cls in SWAPS:
            for m in re.finditer(pat, line):
                for r in reps:
                    found.append((line[:m.start()] + m.expand(r) + line[m.end():], cls))
        for m in re.finditer(r"(?<![\w'\\])(\d+)(?![\w'])", line):
            v = int(m.group(1))
            near = {v + 1, v - 1} | ({v + 10, v - 10} if v > 12 else set())
            for r in near:
                if r >= 0:
                    found.append((line[:m.start()] + str(r) + line[m.end():], "constant"))
        for m in re.finditer(r"'([a-zA-Z0-9 ])'", line):
            for r in {"a": "b", "z": "y", "A": "B", "Z": "Y", "0": "1", "9": "8", "f": "e", "F": "E", " ": "_", "e": "y", "i": "j", "o": "a", "u": "v"}.get(m.group(1), ""):
                found.append((line[:m.start(1)] + r + line[m.end(1):], "constant"))
        decl = re.match(r"\s*(?:int|char) \$(\w+) = ", line)
        names = sorted(scope)
        for m in re.finditer(r"\$(\w+)", line):
            if decl and m.start() == decl.start(1) - 1 or m.group(1) == "f":
                continue
            for other in names:
                if other != m.group(1):
                    found.append((line[:m.start()] + "$" + other + line[m.end():], "variable"))
        for m in re.finditer(r"\$f\((\$\w+), ([^()]*)\)", line):
            found.append((line[:m.start()] + f"$f({m.group(2)}, {m.group(1)})" + line[m.end():], "variable"))
        scope |= set(re.findall(r"\bint \$(\w+)|\bchar \$(\w+)", line) and [a or b for a, b in re.findall(r"\bint \$(\w+)|\bchar \$(\w+)", line)])
        # wider nets: any comparison, any arithmetic, a dropped + 1, two names exchanged, constants far off
        for ops, cls in ((["<", "<=", ">", ">=", "==", "!="], "comparison"), (["+", "-", "*", "/", "%"], "operator"), (["+=", "-=", "*=", "/=", "="], "update"), (["&&", "||"], "condition")):
            for m in re.finditer(r"(?<=[\w\])'}]) (%s) (?=[\w$('*!-])" % "|".join(map(re.escape, sorted(ops, key=len, reverse=True))), line):
                if m.group(1) == "=" and re.match(r"\s*(int|char) |.*\b(for|while|if)\b", line):
                    continue
                for o in ops:
                    if o != m.group(1) and not (o == "=" and cls != "update"):
                        found.append((line[:m.start(1)] + o + line[m.end(1):], cls))
        for m in re.finditer(r" [+-] 1\b", line):
            found.append((line[:m.start()] + line[m.end():], "bound"))
        for m in re.finditer(r"(?<=[\w\]]) (<|<=|==) (\$n|\$h|\$hi)\b", line):
            found.append((line[:m.end()] + " - 1" + line[m.end():], "bound"))
            found.append((line[:m.end()] + " + 1" + line[m.end():], "bound"))
        vs = list(re.finditer(r"\$(\w+)", line))
        for a in vs:
            for b in vs:
                if a.end() <= b.start() and a.group() != b.group() and "$f" not in (a.group(), b.group()):
                    found.append((line[:a.start()] + b.group() + line[a.end():b.start()] + a.group() + line[b.end():], "variable"))
        for m in re.finditer(r"(?<![\w'\\])(\d+)(?![\w'])", line):
            for r in (0, 1, 2, 3, 5, 10, 100):
                if r != int(m.group(1)):
                    found.append((line[:m.start()] + str(r) + line[m.end():], "constant"))
        where = "result" if line.lstrip().startswith("return") else "condition" if re.match(r"\s*(\} else )?(if|for|while)\b", line) else "statement"
        for text, cls in found:
            if cls in ("variable", "constant"):
                cls += " in a " + where
            elif cls == "comparison":
                cls += ", bound" if len(text) != len(line) else ", direction"
            if text != line and (k, text) not in seen:
                seen.add((k, text))
                out.append((k, text, cls))
    return out

# ---- running ----

def braces(lines):
    """canonical lines to compilable C: the body gets its function braces, the rest has its own"""
    return lines[0] + "\n{\n" + "\n".join(lines[1:]) + "\n}\n"

def instance(lines, name):
    return re.sub(r"\$(\w+)", lambda m: name if m.group(1) == "f" else "v_" + m.group(1), braces(lines))

def guard(kind, i):
    if kind["sig"] == "AK" and i % 2:
        return kind["inputs"][i][1]
    return 50 + i if i % 3 != 2 else -20 - i

PRELUDE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
static int ib[96]; static char cb[96]; static int fill; /* what surrounds the data: three different worlds */
static int around(int i) { return fill == 1 ? 1237 + 7 * i : fill == 2 ? -2311 - 7 * i : 0; }
static int aroundc(void) { return fill == 1 ? 0 : fill == 2 ? 'C' : ' '; }
static int *ints(const int *v, int n) { for (int i = 0; i < 96; i++) ib[i] = around(i); memcpy(ib + 32, v, n * sizeof *v); return ib + 32; }
static int clean(int n) { for (int i = 0; i < 96; i++) if ((i < 32 || i >= 32 + n) && ib[i] != around(i)) return 0; return 1; }
static char *chars(const char *v) { memset(cb, aroundc(), 96); cb[95] = 0; strcpy(cb + 32, v); return cb + 32; }
static int cleanc(int n) { for (int i = 0; i < 95; i++) if ((i < 32 || i >= 32 + n + 1) && cb[i] != aroundc()) return 0; return 1; }
"""

def c_char(c):
    return "'" + c + "'"

def arg(v):
    return c_char(v) if isinstance(v, str) else str(v)

def call_code(kind, i, inp):
    sig = kind["sig"]
    if sig[0] == "A":
        vals = list(inp[0]) + [guard(kind, i)]
        n = len(inp[0])
        pre = f"int v[] = {{{', '.join(map(str, vals))}}}; int *p = ints(v, {n + 1}); "
        if sig == "A":
            return pre + f"int r = f(p, {n}); printf(\"%d\", r); if (!clean({n + 1})) printf(\"!\");"
        if sig == "AK":
            return pre + f"int r = f(p, {n}, {inp[1]}); printf(\"%d\", r);"
        if sig == "AM":
            return pre + f"f(p, {n}); for (int i = 0; i < {n}; i++) printf(\"%s%d\", i ? \", \" : \"\", p[i]); if (!clean({n + 1})) printf(\"!\");"
        return pre + f"int r = f(p, {n}); if (r < 0 || r > {n}) printf(\"!\"); else for (int i = 0; i < r; i++) printf(\"%s%d\", i ? \", \" : \"\", p[i]); if (!clean({n + 1})) printf(\"!\");"
    if sig == "S":
        return f"char *s = chars(\"{inp[0]}\"); printf(\"%d\", f(s)); if (!cleanc({len(inp[0])})) printf(\"!\");"
    if sig == "SC":
        return f"char *s = chars(\"{inp[0]}\"); printf(\"%d\", f(s, {c_char(inp[1])}));"
    if sig == "SM":
        return f"char *s = chars(\"{inp[0]}\"); f(s); printf(\"%s\", s); if (!cleanc({len(inp[0])})) printf(\"!\");"
    return f"printf(\"%d\", f({', '.join(arg(v) for v in inp)}));"

def typedef(sig):
    return {"I": "int (*)(int)", "II": "int (*)(int, int)", "III": "int (*)(int, int, int)", "U": "int (*)(unsigned)", "A": "int (*)(const int *, int)",
            "AK": "int (*)(const int *, int, int)", "AM": "void (*)(int *, int)", "AMR": "int (*)(int *, int)", "S": "int (*)(const char *)",
            "SC": "int (*)(const char *, char)", "SM": "void (*)(char *)"}[sig]

def run_all(kind, versions, tmp):
    """versions: list of line lists; returns per version a list of answers, or None"""
    dead = set()
    ptr = typedef(kind["sig"]).replace("(*)", "(*f)")
    for _ in range(6):
        src, starts = PRELUDE, []
        for v, lines in enumerate(versions):
            starts.append(src.count("\n") + 1)
            if v not in dead:
                src += instance(lines, f"fn_{v}")
        last = src.count("\n") + 1
        src += f"static void cases({ptr}) {{\n"
        for i, inp in enumerate(kind["inputs"]):
            src += "{ " + call_code(kind, i, inp) + " putchar('\\n'); }\n"
        src += "}\nint main(void) {\n"
        for v in range(len(versions)):
            if v in dead:
                continue
            for fill in (1, 2, 3):
                src += f"""fflush(stdout); if (!fork()) {{ fill = {fill}; struct itimerval t = {{{{0, 0}}, {{0, {FUEL_MS}000}}}}; setitimer(ITIMER_VIRTUAL, &t, NULL);
 printf("#{v} {fill}\\n"); cases(fn_{v}); printf("ok\\n"); fflush(stdout); _exit(0); }} wait(NULL);\n"""
        src += "return 0; }\n"
        with open(f"{tmp}/m.c", "w") as f:
            f.write(src)
        r = subprocess.run(["gcc", "-O1", "-fno-builtin", "-fwrapv", "-o", f"{tmp}/m", f"{tmp}/m.c"], capture_output=True, text=True)
        said = [int(n) for n in re.findall(r"m\.c:(\d+):\d+: (?:error|warning)", r.stderr)]
        if r.returncode == 0 and not said:
            break
        for n in said:
            dead.add(max(i for i, s in enumerate(starts) if s <= n) if n < last else -1)
        if -1 in dead:
            raise SystemExit(f"mutate: {kind['name']}: {r.stderr}")
    out = subprocess.run([f"{tmp}/m"], capture_output=True, timeout=300).stdout.decode("latin-1")
    got = {}
    for part in out.split("#")[1:]:
        head, *rows = part.split("\n")
        try:
            v, fill = map(int, head.split())
        except ValueError:
            continue
        if len(rows) >= len(kind["inputs"]) + 1 and rows[len(kind["inputs"])] == "ok":
            got[v, fill] = rows[:len(kind["inputs"])]
    res = []
    for v in range(len(versions)):
        a = got.get((v, 1))
        bad = a is None or a != got.get((v, 2)) or a != got.get((v, 3)) or any("!" in x for x in a) and kind["name"] != "rev_str" or any(not all(" " <= c <= "~" for c in x) or len(x) > 40 for x in a)
        res.append(None if bad else a)
    return res

def main():
    kinds, total, wilds = parse(sys.argv[1]), 0, 0
    with tempfile.TemporaryDirectory() as tmp:
        for kind in kinds:
            impls = []
            for lines in kind["impls"]:
                muts = mutants(lines)
                res = run_all(kind, [lines] + [lines[:k] + [t] + lines[k + 1:] for k, t, _ in muts], tmp)
                if res[0] is None:
                    raise SystemExit(f"mutate: the right version of {kind['name']} does not run")
                kept = [dict(line=k, text=t, cls=c, out=o) for (k, t, c), o in zip(muts, res[1:]) if o is not None and o != res[0]]
                wild = [dict(line=k, text=t, cls=c) for (k, t, c), o in zip(muts, res[1:]) if o is None]
                impls.append(dict(lines=lines, out=res[0], mutants=kept, wild=wild))
                wilds += len(wild)
                total += len(kept)
                if len({m["cls"] for m in kept}) < 3 and len(kept) < 6:
                    print(f"note: {kind['name']}: only {len(kept)} mutants", file=sys.stderr)
            for a in impls[1:]:
                if a["out"] != impls[0]["out"]:
                    raise SystemExit(f"mutate: the implementations of {kind['name']} disagree: {a['out']} {impls[0]['out']}")
            kind["impls"] = impls
            kind["guards"] = [guard(kind, i) for i in range(len(kind["inputs"]))]
    json.dump(kinds, open(sys.argv[2], "w"))
    print(f"{len(kinds)} kinds, {sum(len(k['impls']) for k in kinds)} implementations, {total} bugs and {wilds} without a fixed answer; fewest classes per kind: "
          f"{min(len({m['cls'] for i in k['impls'] for m in i['mutants']}) for k in kinds)}")

main()
