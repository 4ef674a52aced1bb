#!/usr/bin/env python3
"""gen: make repair tasks for the pilot model: whole small C projects with one bug, and what a good agent does.

    gen.py tasks  bugs.json OUT.jsonl --n 200 --seed 1 --held      projects with real files, for the evaluation
    gen.py tokens bugs.json vocab.json OUT.tok --n 1000 --seed 1   conversations as tokens, for the trainer
    gen.py drill  bugs.json vocab.json OUT.tok --n 1000 --seed 1    copying alone: odd paths and lines into calls
    gen.py corpus bugs.json OUT.txt --n 3000 --seed 1              text, for the tokenizer
    gen.py verify bugs.json --n 200 --seed 1 [--held]              build projects, compare real with computed evidence

Everything follows from the seed. With --held, function names, identifiers, file names, layouts, texts and the bugs
themselves are drawn from the parts that training never sees. The evidence that a project would print
is put together from answers that mutate.py got by running each bug; `verify` proves that a real `make`
prints the same, byte for byte.
"""
import argparse, hashlib, json, os, random, re, struct, subprocess, sys, tempfile

# ---- pools: (training, held out) ----

NAMES = {
    "x": ("x v val value num k a n q first w", "arg amount datum given"),
    "y": ("y b other m second w u n2 by", "rhs partner against"),
    "z": ("z c third last w2 r3", "thirdly extra"),
    "lo": ("lo low min lower from a start lo_v", "floor_v bottom least"),
    "hi": ("hi high max upper to b limit hi_v", "ceiling top_v most"),
    "a": ("a arr data xs v vals nums items values p", "table seq elems series"),
    "n": ("n len count size num length total_n", "nitems extent cells"),
    "key": ("key x target needle want what value k", "wanted probe sought"),
    "i": ("i k idx pos ii p", "at ix slot"), "j": ("j m jj out w q", "to_pos jx dest"),
    "acc": ("sum total acc s res result out", "tally running agg"),
    "best": ("best m cur top found max_val b", "peak winner champ"),
    "cnt": ("count cnt c hits k found num res", "seen matches occ"),
    "r": ("r res result out ret ans rv", "answer outcome reply"),
    "t": ("t tmp temp swap hold", "spare aux saved"),
    "s": ("s str text p buf src line", "phrase word chars"),
    "c": ("c ch letter x sym", "glyph mark"),
    "l": ("lo left l low first", "begin_at lhs"), "h": ("hi right h high last", "end_at rhs"), "m": ("mid m middle half", "centre pivot"),
    "in": ("in inside in_word w", "within_word state"), "e": ("e exp n power", "expo times"),
}
SYLL = "ba be bo da de di fa fo ga go ka ke ko la le li lo ma me mi na ne no pa pe po ra re ri ro sa se so ta te ti to va ve vo za zo".split()
LAYOUTS = ([("src", "tests", "src"), ("src", "test", "include"), ("", "", ""), ("lib", "tests", "lib"), ("", "tests", ""), ("src", "tests", "include"), ("core", "test", "core"), ("", "test", "")],
           [("source", "checks", "source"), ("code", "t", "include"), ("lib/c", "lib/test", "lib/c"), ("", "t", ""), ("app", "spec", "app")])
BASES = ("util utils mathx tools helpers misc funcs array str calc num list bits text ints".split(), "kit basics prims common ops parts".split())
PREFIX = (["", "", "", "", "my_", "util_", "x_", "do_", "get_"], ["", "", "lib_", "fast_", "the_"])
SUFFIX = (["", "", "", "", "_int", "2", "_i", "_fn", "_v1"], ["", "", "_impl", "_it", "3"])
ASK = (["Fix the failing test.", "{cmd} fails. Please fix it.", "{f} gives wrong results. Find the bug and fix it.", "The test of {f} fails. Repair {f}.", "Make the tests pass.",
        "Fix the bug in {f}().", "Find and fix the bug so that `{cmd}` passes.", "There is a bug in {f}; {cmd} shows it.", "{f}() is broken, can you repair it?", "Repair the code.",
        "tests are red, fix the code not the tests", "Why does {cmd} fail? Fix it, please.", "fix {f}", "Something is wrong with {f}: see the test output.", "Please make {cmd} green again."],
       ["Get {cmd} to succeed.", "{f} misbehaves, repair it.", "The build is red because of {f}. Please correct the function.", "Correct the mistake in {f} so the suite passes."])

RESERVED = set("int for if while else return char const void unsigned do f auto break case continue default double enum extern float goto long register short signed sizeof static struct switch typedef union volatile main".split())

def pick(rng, pool, held):
    return rng.choice(pool[1] if held else pool[0])

ONSET = "b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p ph pl pr qu r s sc sh sk sl sp st str t th tr v w wr y z".split() + [""] * 4
VOWEL = "a e i o u a e i o ai ea ee ie io oo ou y".split()
CODA = "b ck d ft g l ld ll m mp n nd ng nt p r rd rk rm rn s sk ss st t th x ve te se ce ge ble".split() + [""] * 20

# Ordinary words that no held-out name is made of: most names that people give are such words, put together anew.
WORDS = """able access act active actual adapt adjust age agree alarm align alpha anchor angle apple apply area argv artist ask asset assign atlas atom author
auto axis bad badge bag balance ball band bank bar base basket batch beam bear bed bell bench beta bid bill bin bird blend block blue board boat body bolt bone
book boot border bottle branch bread brick bridge bright brush bucket budget buffer build bus button byte cable cache cake call camera camp candle card care cargo
cart cast cat cause cell chain chair chance chart cheap chest chip choice chunk city claim clean clear clock cloud club coach coal coast coin cold color column
command commit compare cone config cook cool copper copy core corner cost cotton course cover cow craft crew crop crowd cup curve cut daily dark data date deal
debt deck deep delta demo desk detail device dial dice dish disk dock dog door dot draft dream drive dry duck dust duty early earth east easy edge edit egg empty
enable engine enter entry error event exact exit eye face fact fair fall fast fee feed fetch field file filler film fine fire first fish fit flag flat fleet
flight flow fly folder food foot force fork form frame free fresh front fuel full fund gain game gamma garden gas gate gear get ghost gift glass goal gold good
grain grant graph grass green grid group grow guard guess guest guide hand hard harvest hat head heap heat heavy help hint hold hole home honey hook horse host
hotel hour house hub ice icon idea idle image inch info ink inner input iron island job join joke judge juice jump junior key kind king knee label lake lamp
land lane large laser late layer lead leaf lemon lend lens level lever light line link lion list live load loan local lock log logic loop lot luck lunch machine mail
main major map march margin market mask master match mate meal meat melt member memory menu merge metal meter middle milk mill mind mine mint minor miss mode model
moment monkey moon motor mount mouse move music name narrow near neck need nest net node noise north note novel null object ocean odd offer office oil old olive
option orange orbit other outer oven owner pack pad page paint pair panel paper park party pass past path pause peer pen people phase phone photo piano pick picture piece pilot
pin pipe pixel place plain plan plane plant plate play plot plug pocket point pool port post pot power press price print prize process profile proof proxy pull pulse pump
push queen query quest queue quick quiet quota race rack radio rail rain random rank rate ratio raw ray ready real record red region relay rent reset rest result review rice
rich ride right ring river road robot rock role roof room rope rose rough route row rule rush safe salt sample sand save scale scene school scope screen sea seat second seed
select send sense serve set shade shape share sharp sheet shelf shell ship shoe shop short show side sign silent silver simple single site size skill skin skip sky sleep
slice slide slow smart smoke snow soap soft soil solid song sort south space speed spin split spoon sport spring stack staff stage stamp stand star start steel stem stock stone stop store storm story stream street strong style sugar suit summer sun super sure surface swap sweet swim switch symbol system tag take talk tank
tape target task taste tax tea team tent test thing thread ticket tide tiger tile time tiny title toast token tool tooth topic torch touch tower town toy track trade trail train
trash tree trend trial tribe trick trip truck trust tube tune twin type uncle unit update upper use user valid valley van vault vector verb view visit voice vote wait walk wall
want warm wash watch water wave way web week west wet wheel white wide wild wind wine wing winter wire wise wish wolf wood wool work world wrap write yard yellow zero zone
calc compute make eval get_it test_it scan handle update emit parse""".split()

def phrase(rng):
    """one to three of them, as in the names of variables, functions and files"""
    return "_".join(rng.choice(WORDS) for _ in range(rng.choice([1, 1, 1, 2, 2, 3])))

def odd(rng):
    return phrase(rng) if rng.random() < 0.45 else pseudo(rng)

def word(rng):
    return "".join(rng.choice(ONSET) + rng.choice(VOWEL) + rng.choice(CODA) for _ in range(rng.choice([1, 1, 2, 2, 2, 3])))

def pseudo(rng):
    w = word(rng) if rng.random() < 0.8 else "".join(rng.choice(SYLL) for _ in range(rng.randint(1, 3)))
    w = w if rng.random() < 0.8 else w + "_" + word(rng)
    w += rng.choice(["", "", "", "", "_n", "1", "_x"])
    return w if w not in RESERVED else w + "_w"

def choose_names(rng, lines, held):
    used, out = set(RESERVED), {}
    mode = rng.random()
    for role in dict.fromkeys(re.findall(r"\$(\w+)", "\n".join(lines))):
        if role == "f":
            continue
        pool = NAMES[role]
        for _ in range(50):
            if ODD and (mode < 0.45 or mode < 0.8 and rng.random() < 0.5):
                name = odd(rng) if rng.random() < 0.7 else rng.choice(WORDS)
            elif held:
                name = rng.choice(pool[1].split() + (pool[0].split()[:2] if rng.random() < 0.2 else []))
            else:
                words = pool[0].split()
                name = words[min(int(rng.expovariate(0.45)), len(words) - 1)]
            if name not in used:
                break
        else:
            name = pseudo(rng) + "_" + role
        used.add(name)
        out[role] = name
    return out

# ---- style ----

class Style:
    def __init__(self, rng):
        self.indent = rng.choice(["    "] * 6 + ["  "] * 3 + ["\t"] * 2)
        self.brace = rng.choice(["same"] * 4 + ["func"] * 3 + ["own"] * 3)
        self.single = rng.choice(["plain"] * 5 + ["braced"] * 4 + ["inline"])
        self.inc = rng.choice(["post"] * 6 + ["pre"] * 2 + ["add"])
        self.fordecl = rng.random() < 0.75
        self.tight = rng.random() < 0.1
        self.param = rng.random() < 0.2
        self.nul = rng.random() < 0.2
        self.gap = rng.random() < 0.3

def render(lines, st):
    """canonical lines (braceless header, four spaces, own braces where needed) to the lines of a style; $names stay"""
    out, head = [], lines[0]
    rows = [((len(l) - len(l.lstrip())) // 4, l.strip()) for l in lines[1:]]
    def restyle(t):
        if st.inc != "post":
            new = (lambda m: ("++" if m[2] == "++" else "--") + m[1]) if st.inc == "pre" else (lambda m: f"{m[1]} {m[2][0]}= 1")
            t = re.sub(r"(?<![\w\]*\[$])(\$\w+)(\+\+|--)(?=;$|\)$|\) \{$)", new, t)
        if st.tight:
            t = re.sub(r"\b(if|for|while) \(", r"\1(", t)
        if st.nul:
            t = t.replace("'\\0'", "0")
        return t
    if st.param:
        head = re.sub(r"(const int|int) \*(\$a)", r"\1 \2[]", head)
    decls = []
    if not st.fordecl:
        fixed = []
        for d, t in rows:
            m = re.match(r"for \(int (\$\w+) = ", t)
            if m:
                decls.append(m.group(1))
                t = t.replace("for (int ", "for (", 1)
            fixed.append((d, t))
        rows = fixed
    rows = [(d, restyle(t)) for d, t in rows]
    own = st.brace == "own"
    # single statements under a header line: give them braces, or put them behind it
    def block(i, depth):
        """emit rows from i while deeper than or at depth; returns next i"""
        while i < len(rows) and rows[i][0] >= depth:
            d, t = rows[i]
            pad = st.indent * d
            if re.match(r"(if|for|while|else)\b", t) and not t.endswith("{") and i + 1 < len(rows) and rows[i + 1][0] > d:
                nxt = rows[i + 1][1]
                simple = not re.match(r"(if|for|while|else)\b", nxt)
                if simple and st.single == "inline" and len(t) + len(nxt) < 60:
                    out.append(f"{pad}{t} {nxt}")
                    i += 2
                elif simple and st.single == "braced":
                    if own:
                        out.extend([pad + t, pad + "{"])
                    else:
                        out.append(f"{pad}{t} {{")
                    out.append(st.indent * rows[i + 1][0] + nxt)
                    if i + 2 < len(rows) and rows[i + 2] == (d, "else") and not own:
                        rows[i + 2] = (d, "} else")
                    else:
                        out.append(pad + "}")
                    i += 2
                else:
                    out.append(pad + t)
                    i += 1
            elif t == "} else" or t.startswith("} else") and not t.endswith("{"):
                out.extend([pad + "} else {", st.indent * rows[i + 1][0] + rows[i + 1][1], pad + "}"])
                i += 2
            elif t.endswith(" {") and own:
                t = t[:-2]
                if t.startswith("} "):
                    out.append(pad + "}")
                    t = t[2:]
                out.extend([pad + t, pad + "{"])
                i += 1
            else:
                out.append(pad + t)
                i += 1
        return i
    block(0, 1)
    body = []
    for v in dict.fromkeys(decls):
        body.append(f"{st.indent}int {v};")
    body += out
    if st.gap:
        k = 0
        while k < len(body) and re.match(r"\s+(int|char) \$", body[k]):
            k += 1
        if 0 < k < len(body):
            body.insert(k, "")
    if st.brace == "same":
        return [head + " {"] + body + ["}"]
    return [head, "{"] + body + ["}"]

def rename(lines, names, f):
    return [re.sub(r"\$(\w+)", lambda m: f if m.group(1) == "f" else names[m.group(1)], l) for l in lines]

# ---- bugs ----

def held_bug(kind, impl, mut):
    h = hashlib.sha256(f"{kind}/{impl}/{mut['line']}/{mut['text']}".encode()).digest()
    return h[0] < 30

def load(path):
    kinds = json.load(open(path))
    for k in kinds:
        n = 0
        for i, impl in enumerate(k["impls"]):
            for m in impl["mutants"]:
                m["held"] = held_bug(k["name"], i, m)
                n += m["held"]
            for m in impl["wild"]:
                m["held"] = held_bug(k["name"], i, m)
        if n == 0:
            k["impls"][0]["mutants"][0]["held"] = True
    return kinds

# ---- one project ----

def show(kind, v):
    sig = kind["sig"]
    if sig in ("AM", "AMR"):
        return f"[{v}]"
    if sig == "SM":
        return f'"{v}"'
    return v

def lit(v):
    return f"'{v}'" if isinstance(v, str) else str(v)

def cases_of(rng, kind, impl, mut):
    n = len(kind["inputs"])
    bad = [i for i in range(n) if "out" not in mut or mut["out"][i] != impl["out"][i]]
    ids = {rng.choice(bad)} | set(rng.sample(range(n), min(n, rng.randint(2, 5))))
    ids = list(ids)
    rng.shuffle(ids) if rng.random() < 0.3 else ids.sort()
    return ids

def label(kind, f, i):
    sig, inp = kind["sig"], kind["inputs"][i]
    if sig[0] == "A":
        vals = ", ".join(map(str, inp[0]))
        if sig == "A":
            return f"{f}({{{vals}}}, {len(inp[0])})"
        if sig == "AK":
            return f"{f}({{{vals}}}, {len(inp[0])}, {inp[1]})"
        return f"{f}([{vals}])"
    if sig in ("S", "SM"):
        return f'{f}("{inp[0]}")'
    if sig == "SC":
        return f"{f}(\"{inp[0]}\", '{inp[1]}')"
    return f"{f}({', '.join(lit(v) for v in inp)})"

def cstr(s):
    return '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'

class Project:
    """files, gate, where the bug is, and the evidence of any version of the function"""

def make_project(rng, kinds, held, wild=False):
    """wild: the bug may be one without a fixed answer, so that there is no evidence (p.mut["out"] is missing)"""
    p = Project()
    st = Style(rng)
    while True:
        kind = rng.choice(kinds)
        k = rng.randrange(len(kind["impls"]))
        impl = kind["impls"][k]
        pool = [m for m in impl["mutants"] + (impl["wild"] if wild else []) if m["held"] == held]
        if pool:
            break
    by = {}
    for m in pool:
        by.setdefault(m["cls"], []).append(m)
    mut = rng.choice(by[rng.choice(sorted(by))])
    p.held = held
    p.kind, p.impl, p.mut, p.style = kind, impl, mut, st
    base_name = rng.choice(kind["held"] if held else kind["names"])
    f = pick(rng, PREFIX, held) + base_name + pick(rng, SUFFIX, held)
    r = rng.random()
    if ODD and r < 0.3:
        f = odd(rng)
    elif ODD and r < 0.6:
        part = rng.choice(base_name.split("_"))
        f = odd(rng) + "_" + part if rng.random() < 0.5 else part + "_" + odd(rng)
    if ODD and rng.random() < 0.3:
        f = rng.choice([lambda: rng.choice(WORDS) + "_" + f, lambda: f + "_" + rng.choice(WORDS), lambda: f + str(rng.randint(2, 9))])()
    if f in RESERVED or f == "main":
        f += "_fn"
    names = choose_names(rng, impl["lines"], held)
    if f in names.values():
        f += "_fn"
    p.f, p.names = f, names
    src, tst, inc = pick(rng, LAYOUTS, held)
    if ODD and rng.random() < 0.6:
        one = lambda: rng.choice("abdefghmnpqruvwxyz") + rng.choice(["", "", "d", "x", "1"]) if rng.random() < 0.2 else (rng.choice(WORDS) if rng.random() < 0.6 else word(rng)) + rng.choice(["", "", "s"])
        new = lambda: "/".join(one() for _ in range(rng.choice([1, 1, 2, 2, 3])))
        ren = {d: new() for d in dict.fromkeys([src, tst, inc]) if d and rng.random() < 0.8}
        src, tst, inc = (ren.get(d, d) for d in (src, tst, inc))
    r = rng.random()
    base = f if r < 0.45 else base_name if r < 0.6 else pick(rng, BASES, held)
    J = lambda d, n: f"{d}/{n}" if d else n
    if ODD and rng.random() < 0.4:
        base = rng.choice([word, phrase, odd])(rng)
    p.src = J(src, base + ".c")
    header = rng.random() < 0.7
    hpath = J(inc, base + ".h")
    tname = rng.choice([f"test_{base}", f"{base}_test", "selftest", "run_checks", f"t_{base}"])
    if ODD and rng.random() < 0.4:
        tname = rng.choice([f"check_{base}", f"{base}_check", f"{base}_tests", f"tests_{base}", f"unit_{base}", f"try_{base}", f"{base}_t", "tests", "test_all", "all_tests", f"{word(rng)}_{base}_test", f"test_{word(rng)}"])
    tpath = J(tst, tname + ".c")
    proto = rename([impl["lines"][0]], names, f)[0] + ";"

    # source file: pieces before and after the function
    before, after = [], []
    if rng.random() < 0.25:
        before.append(f"/* {base}.c - {rng.choice(kind['docs'])} */")
    incs = []
    if header and rng.random() < 0.9:
        incs.append(f'#include "{base}.h"')
    if any("strlen" in l for l in impl["lines"]):
        incs.append("#include <string.h>")
    elif rng.random() < 0.1:
        incs.append("#include <stddef.h>")
    before += incs + ([""] if incs or before else [])
    def neighbour():
        other = rng.choice(kinds)
        if other is kind or other["sig"] in ("SM",) and False:
            return None
        o = rng.choice(other["impls"])
        if len(o["lines"]) > 9 or any("strlen" in l for l in o["lines"]):
            return None
        of = pick(rng, PREFIX, held) + rng.choice(other["names"]) + "_other"[: 6 * (rng.random() < 0.1)]
        if of == f or of in ("index", "abs", "reverse") or of in names.values():
            return None
        on = choose_names(rng, o["lines"], held)
        if of in on.values():
            return None
        return [rename(render(o["lines"], st), on, of), of]
    second = None
    if rng.random() < 0.22:
        nb = neighbour()
        if nb:
            (before.extend(nb[0] + [""]) if rng.random() < 0.5 else after.extend([""] + nb[0]))
    if rng.random() < 0.35:
        before.append(f"/* {rng.choice(kind['docs'])} */" if rng.random() < 0.7 else f"// {rng.choice(kind['docs'])}")
    p.before, p.after = before, after

    def source(lines):
        return before + rename(render(lines, st), names, f) + after
    p.source = source
    good, bad = source(impl["lines"]), source(impl["lines"][:mut["line"]] + [mut["text"]] + impl["lines"][mut["line"] + 1:])
    diff = [i for i in range(len(good)) if good[i] != bad[i]] if len(good) == len(bad) else []
    if len(diff) != 1:
        return None
    p.line, p.good, p.bad = diff[0] + 1, good, bad
    p.first, p.last = len(before) + 1, len(good) - len(after)
    files = {p.src: "\n".join(bad) + "\n"}
    srcs = [p.src]
    if rng.random() < (MORE_FILES if ODD else 0.25):
        nb = neighbour()
        if nb:
            ob = nb[1] if rng.random() < 0.6 else pick(rng, BASES, held)
            if ODD and rng.random() < 0.3:
                ob = rng.choice([word, phrase, odd])(rng)
            second = J(src, ob + ".c")
            if second != p.src and ob + ".c" != os.path.basename(tpath):
                files[second] = "\n".join(nb[0]) + "\n"
                srcs.append(second)
    p.srcs = srcs
    if header:
        g = re.sub(r"\W", "_", base.upper()) + "_H"
        files[hpath] = f"#ifndef {g}\n#define {g}\n\n{proto}\n\n#endif\n" if rng.random() < 0.7 else f"#pragma once\n{proto}\n"
    if rng.random() < 0.25:
        files["README.md"] = f"# {base}\n\nA small library.\n"
    if rng.random() < 0.1:
        files["LICENSE"] = "Public domain.\n"

    # the test program
    sig = kind["sig"]
    p.fmt = rng.choice([0, 0, 0, 1, 1, 2, 3, 3, 3, 4, 6]) if not held else rng.choice([0, 1, 2, 3, 3, 5, 5, 6])
    p.stop = p.fmt != 2 and rng.random() < 0.4
    p.summary = p.fmt != 3 and rng.random() < 0.4
    p.ids = cases_of(rng, kind, impl, mut)
    text_like = sig in ("AM", "AMR", "SM")
    L = ["#include <stdio.h>", "#include <string.h>"]
    if p.fmt == 3:
        L = ["#include <assert.h>", "#include <string.h>"]
    L += [f'#include "{base}.h"', ""] if header else ["", proto, ""]
    if p.fmt != 3:
        L += ["static int failed, count;", ""]
        if sig in ("AM", "AMR"):
            L += ["static const char *show(const int *a, int n)", "{", "    static char out[200];", "    int at = sprintf(out, \"[\");",
                  "    for (int i = 0; i < n; i++)", "        at += sprintf(out + at, \"%s%d\", i ? \", \" : \"\", a[i]);", "    strcpy(out + at, \"]\");", "    return out;", "}", ""]
        typ, pf = ("const char *", "%s") if text_like else ("int ", "%d")
        L += [f"static void expect(int line, const char *call, {typ}got, {typ}want)", "{", "    count++;"]
        cond = "strcmp(got, want) == 0" if text_like else "got == want"
        q = '\\"' if sig == "SM" else ""
        G, W = f"{q}{pf}{q}", f"{q}{pf}{q}"
        fails = {0: (f"%s:%d: %s = {G}, expected {W}\\n", "__FILE__, line, call, got, want"), 1: (f"FAIL %s: got {G}, expected {W}\\n", "call, got, want"),
                 2: (f"not ok %d - %s\\n#   got {G}, expected {W}\\n", "count, call, got, want"), 4: (f"%s: expected {W}, got {G}\\n", "call, want, got"),
                 5: (f"%s:%d: %s: want {W}, have {G}\\n", "__FILE__, line, call, want, got"), 6: (f"test failed at line %d: %s should be {W} but is {G}\\n", "line, call, want, got")}[p.fmt]
        if p.fmt == 2:
            L += [f"    if ({cond}) {{", "        printf(\"ok %d - %s\\n\", count, call);", "        return;", "    }"]
        else:
            L += [f"    if ({cond})", "        return;"]
        L += ["    failed++;", f"    printf(\"{fails[0]}\", {fails[1]});"]
        if p.fmt in (1, 2, 4):
            L += ["    (void)line;"]
        L += ["}", ""]
    L += ["int main(void)", "{"]
    p.case_lines = {}
    for c, i in enumerate(p.ids, 1):
        inp, want = kind["inputs"][i], impl["out"][i]
        lab = cstr(label(kind, f, i))
        if sig[0] == "A":
            vals = ", ".join(map(str, list(inp[0]) + [kind["guards"][i]]))
            n = len(inp[0])
            call = f"{f}(a{c}, {n}, {inp[1]})" if sig == "AK" else f"{f}(a{c}, {n})"
            L.append(f"    int a{c}[] = {{{vals}}};")
            if sig in ("A", "AK"):
                p.case_lines[i] = (len(L) + 1, f"{call} == {want}")
                L.append(f"    assert({call} == {want});" if p.fmt == 3 else f"    expect(__LINE__, {lab}, {call}, {want});")
            else:
                ln = "n%d" % c
                if sig == "AMR":
                    L.append(f"    int {ln} = {call};")
                else:
                    L.append(f"    {call};")
                    ln = str(n)
                if p.fmt == 3:
                    wants = [w for w in want.split(", ") if w]
                    cond = [f"a{c}[{q}] == {w}" for q, w in enumerate(wants)]
                    if sig == "AMR":
                        cond.insert(0, f"{ln} == {len(wants)}")
                    cond = " && ".join(cond) or "1"
                    p.case_lines[i] = (len(L) + 1, cond)
                    L.append(f"    assert({cond});")
                else:
                    p.case_lines[i] = (len(L) + 1, "")
                    L.append(f"    expect(__LINE__, {lab}, show(a{c}, {ln}), \"[{want}]\");")
        elif sig == "SM":
            L.append(f"    char s{c}[32] = {cstr(inp[0])};")
            L.append(f"    {f}(s{c});")
            p.case_lines[i] = (len(L) + 1, f"strcmp(s{c}, {cstr(want)}) == 0")
            L.append(f"    assert({p.case_lines[i][1]});" if p.fmt == 3 else f"    expect(__LINE__, {lab}, s{c}, {cstr(want)});")
        else:
            call = label(kind, f, i)
            p.case_lines[i] = (len(L) + 1, f"{call} == {want}")
            L.append(f"    assert({call} == {want});" if p.fmt == 3 else f"    expect(__LINE__, {lab}, {call}, {want});")
        if p.fmt != 3 and p.stop:
            L += ["    if (failed)", "        return 1;"]
    if p.fmt != 3 and p.summary:
        L.append("    printf(\"%d of %d failed\\n\", failed, count);")
    if p.fmt == 3 and rng.random() < 0.3:
        pass
    L += ["    return failed != 0;" if p.fmt != 3 else "    return 0;", "}"]
    files[tpath] = "\n".join(L) + "\n"
    p.tpath, p.tname = tpath, tname

    # the gate
    tgt = rng.choice(["test"] * 4 + ["check"])
    flags = "-g -std=c11" if rng.random() < 0.5 else "-O1 -g"
    dirs = [d for d in dict.fromkeys([inc]) if d and header]
    flags += "".join(f" -I{d}" for d in dirs)
    if not dirs and header and tst:
        flags += " -I."
    cc = rng.choice(["cc", "gcc", "cc"])
    objs = " ".join([tpath] + srcs)
    mk = rng.choice("ABBCCS" if not held else "ABCDS")
    echo, p.steps = "", []
    at = "@" if rng.random() < 0.5 else ""
    if mk == "S":
        p.cmd = rng.choice(["sh run-tests.sh", "sh test.sh"]) if not held else "sh check.sh"
        fn = p.cmd.split()[1]
        files[fn] = f"set -e\n{cc} {flags} -o {tname} {objs}\n./{tname}\n"
        p.kindmk = ("S", fn, 3)
    else:
        p.cmd = f"make {tgt}"
        build = f"{cc} {flags} -o {tname} {objs}"
        if mk == "A":
            m = [f"CC = {cc}", f"CFLAGS = {flags}", "", f"{tgt}: {tname}", f"\t{at}./{tname}", "", f"{tname}: {objs}", f"\t{at}$(CC) $(CFLAGS) -o $@ $^"]
            n = 5
        elif mk == "B":
            m = [f".PHONY: {tgt} clean", "", f"{tgt}:", f"\t{at}{build}", f"\t{at}./{tname}", "", "clean:", f"\trm -f {tname}"]
            n = 5
        elif mk == "C":
            m = [f"SRC = {objs}", "", f"all: {tname}", "", f"{tname}: $(SRC)", f"\t{at}{build}", "", f"{tgt}: {tname}", f"\t{at}./{tname}"]
            n = 9
        else:
            m = [f"BIN = {tname}", f"{tgt}: $(BIN)", f"\t{at}./$(BIN)", f"$(BIN): {objs}", f"\t{at}{build}", f".PHONY: {tgt}"]
            n = 3
        files["Makefile"] = "\n".join(m) + "\n"
        p.kindmk = ("M", tgt, n)
        if not at:
            p.steps = [build, f"./{tname}"]
    p.files = files
    p.ask = (pick(rng, ASK, held)).format(f=f, cmd=p.cmd)
    return p

def evidence(p, out):
    """what the gate prints when the function answers `out` (one answer per test input), and its exit status"""
    kind, want = p.kind, p.impl["out"]
    rows, failed, aborted = [], 0, False
    for c, i in enumerate(p.ids, 1):
        line, expr = p.case_lines[i]
        ok = out[i] == want[i]
        lab, g, w = label(kind, p.f, i), show(kind, out[i]), show(kind, want[i])
        if p.fmt == 3:
            if not ok:
                rows.append(f"{p.tname}: {p.tpath}:{line}: main: Assertion `{expr}' failed.")
                aborted = True
                break
            continue
        if ok:
            if p.fmt == 2:
                rows.append(f"ok {c} - {lab}")
        else:
            failed += 1
            rows += {0: [f"{p.tpath}:{line}: {lab} = {g}, expected {w}"], 1: [f"FAIL {lab}: got {g}, expected {w}"], 2: [f"not ok {c} - {lab}", f"#   got {g}, expected {w}"],
                     4: [f"{lab}: expected {w}, got {g}"], 5: [f"{p.tpath}:{line}: {lab}: want {w}, have {g}"], 6: [f"test failed at line {line}: {lab} should be {w} but is {g}"]}[p.fmt]
        if p.stop and failed:
            break
    else:
        if p.summary:
            rows.append(f"{failed} of {len(p.ids)} failed")
    red = failed or aborted
    what, tgt, n = p.kindmk
    if what == "S":
        if aborted:
            rows.append("Aborted")
        return rows, (134 if aborted else 1) if red else 0
    rows = p.steps + rows
    if red:
        rows.append(f"make: *** [Makefile:{n}: {tgt}] " + ("Aborted" if aborted else "Error 1"))
    return rows, 2 if red else 0

def gate_text(p, out):
    rows, code = evidence(p, out)
    return "\n".join([f"$ {p.cmd}"] + rows[-30:] + [f"[exit {code}]"])

# ---- conversations ----

LIST = '<tool_call>\n{"name": "list", "arguments": {"path": "."}}\n</tool_call>'
READ = ('<tool_call>\n{"name": "read", "arguments": {"path": "', '", "numbers": true}}\n</tool_call>')
EDIT = ('<tool_call>\n{"name": "edit", "arguments": {"path": "', '", "line": ', ', "new": "', '"}}\n</tool_call>')
TO = ', "to": '

def jstr(s):
    return json.dumps(s, ensure_ascii=False)[1:-1]

def numbered(lines, start=1):
    return "\n".join(f"{i}\t{l}" for i, l in enumerate(lines, start))

MORE_FILES = 0.25  # share of projects with a second source file that has nothing to do with the bug
ODD = True  # made-up words among the names (dirs, files, functions, identifiers), so that any name is copied
MISTAKES = 0.0  # share of conversations that show wrong tries: none, since the chat template begins every round afresh

def conversation(rng, p, short=False):
    """list of (role, text, loss): user, tool: what is shown; assistant: what is said; loss 0 for mistakes.
    The short form begins where the file is read: all that the chat template shows of what went before."""
    c = []
    bad_out = p.mut.get("out")
    if short:
        if not p.held and rng.random() < 0.3:  # an earlier try left a second mistake
            m = rng.choice([q for q in p.impl["mutants"] if not q["held"]])
            v = p.impl["lines"][:p.mut["line"]] + [p.mut["text"]] + p.impl["lines"][p.mut["line"] + 1:]
            v = p.source(v[:m["line"]] + [m["text"]] + v[m["line"] + 1:])
            p.bad = v if len(v) == len(p.good) and v != p.good else p.bad
        c += [("assistant", READ[0] + p.src + READ[1], 0), ("tool", numbered(p.bad), 1)]
    elif rng.random() < 0.93:
        c.append(("user", f"{p.ask}\n\nFailing now:\n{gate_text(p, bad_out)}", 1))
    else:
        c.append(("user", p.ask if p.f in p.ask else f"{p.ask} The function is {p.f}.", 1))
    if not short:
        explore(rng, p, c)
    return repair(rng, p, c, 0 if bad_out is None else MISTAKES)

def explore(rng, p, c):
    """list the files, read the one that most probably has the bug"""
    c.append(("assistant", LIST, 1))
    made = [] if rng.random() < 0.5 else [p.tname] if rng.random() < 0.5 else []
    c.append(("tool", "\n".join(sorted(list(p.files) + made)), 1))
    c.append(("assistant", READ[0] + p.src + READ[1], 1))
    c.append(("tool", numbered(p.bad), 1))

def repair(rng, p, c, mistakes):
    """The function is written again as it should be; with probability `mistakes` after wrong tries and a gate that stays red.
    Writing the whole function makes finding the bug a matter of expecting each token. In the change only the
    lines that differ appear."""
    bad_out, lines, mut = p.mut.get("out"), p.impl["lines"], p.mut
    def rewrite(text, loss):
        c.append(("assistant", EDIT[0] + p.src + EDIT[1] + str(p.first) + TO + str(p.last) + EDIT[2] + jstr("\n".join(text[p.first - 1:p.last])) + EDIT[3], loss))
        c.append(("tool", f"edited {p.src}: lines {p.first}-{p.last}", 1))
        c.append(("assistant", f"Repaired {p.f} in {p.src}.", loss))
    if rng.random() < mistakes:
        seen = set()
        for _ in range(rng.choice([1, 1, 1, 2, 2, 3])):
            r = rng.random()
            m = rng.choice(p.impl["mutants"])
            same = [q for q in p.impl["mutants"] if q["line"] == mut["line"] and q is not mut]
            if r < 0.3:  # nothing was changed
                v, now = list(p.bad), bad_out
            elif r < 0.65 and same:  # the right place, the wrong repair
                m = rng.choice(same)
                v, now = p.source(lines[:m["line"]] + [m["text"]] + lines[m["line"] + 1:]), m["out"]
            elif r < 0.85:  # the bug is gone, another came
                v, now = p.source(lines[:m["line"]] + [m["text"]] + lines[m["line"] + 1:]), m["out"]
            else:  # the bug is there, and another (what the gate says then is not known: the old output stands in)
                w = lines[:mut["line"]] + [mut["text"]] + lines[mut["line"] + 1:]
                v, now = p.source(w[:m["line"]] + [m["text"]] + w[m["line"] + 1:]), bad_out
            key = "\n".join(v)
            if key in seen or len(v) != len(p.good) or v == p.good:
                continue
            seen.add(key)
            rewrite(v, 0)
            c.append(("user", f"Still failing:\n{gate_text(p, now)}", 1))
    rewrite(p.good, 1)
    return c

# ---- tokens ----

CONTROL = ["<|pad|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"]
SCAFFOLD = [LIST, READ[0], READ[1], EDIT[0], EDIT[1], EDIT[2], EDIT[3], TO, "\\n", "Failing now:\n$ ", "Still failing:\n$ ", "make: *** [Makefile:", "\\t", "\\\"", "\\\\"]
PRE = re.compile(r"[0-9]| ?[^\W\d_]+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")

def byte_names():
    bs = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    cs, n = bs[:], 0
    for b in range(256):
        if b not in bs:
            bs.append(b)
            cs.append(256 + n)
            n += 1
    return {b: chr(c) for b, c in zip(bs, cs)}

class Tokenizer:
    def __init__(self, path):
        v = json.load(open(path))
        self.ids = {t: i for i, t in enumerate(v["tokens"])}
        self.rank = {tuple(m): i for i, m in enumerate(v["merges"])}
        self.names = byte_names()
        self.special = re.compile("|".join(re.escape(s) for s in sorted(SCAFFOLD, key=len, reverse=True)))
        self.cache = {}
    def chunk(self, w):
        got = self.cache.get(w)
        if got is None:
            s = [self.names[b] for b in w.encode()]
            while len(s) > 1:
                best = min(range(len(s) - 1), key=lambda i: self.rank.get((s[i], s[i + 1]), 1 << 30))
                if (s[best], s[best + 1]) not in self.rank:
                    break
                s[best:best + 2] = [s[best] + s[best + 1]]
            got = [self.ids[t] for t in s]
            if len(self.cache) < 200000:
                self.cache[w] = got
        return got
    def plain(self, text):
        out = []
        # digits are split off first, then the rest is cut up on its own, as llama.cpp's "starcoder" does
        for part in re.findall(r"[0-9]|[^0-9]+", text):
            for w in PRE.findall(part):
                out += self.chunk(w)
        return out
    def encode(self, text):
        out, at = [], 0
        for m in self.special.finditer(text):
            out += self.plain(text[at:m.start()])
            out.append(self.ids[m.group()])
            at = m.end()
        return out + self.plain(text[at:])

def to_tokens(tok, conv):
    t, w = [], []
    def put(ids, weight):
        t.extend(ids)
        w.extend([weight] * len(ids))
    for role, text, loss in conv:
        put([tok.ids[f"<|{role}|>"]], 0)
        if role == "tool" and text.startswith("edited"):
            text = "ok"  # as the chat template does
        body = tok.encode(text)
        if role == "assistant":
            put(body, 255 if loss else 0)
            put([tok.ids["<|end|>"]], 255 if loss else 0)
        else:
            # learning to expect code is what makes a bug stand out
            put(body, 0 if loss < 0 else 64 if text.startswith("1\t") else 12 if role == "tool" else 4)
            put([tok.ids["<|end|>"]], 0)
    return t, w

def drill(rng):
    """a conversation that is nothing but copying: odd paths and odd lines, from a listing into a call"""
    def odd():
        r = rng.random()
        if r < 0.5:
            return word(rng)
        if r < 0.8:
            return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(1, 8)))
        return word(rng) + rng.choice(["_", "", "2", "_x"]) + word(rng)
    def path():
        return "".join(odd() + "/" for _ in range(rng.choice([0, 1, 1, 2]))) + odd() + rng.choice([".c", ".c", ".c", ".h", "_v2.c"])
    def line():
        pad = rng.choice(["", "    ", "        ", "  ", "\t", "\t\t", "            "])
        ex = [odd() for _ in range(4)]
        a, b, c, d = ex
        return pad + rng.choice([f"if ({a} {rng.choice(['<', '>', '<=', '>=', '==', '!='])} {b})", f"{a} = {b} {rng.choice('+-*/%')} {c};", f"return {a};", f"return {a}({b}, {c});", f"for (int {a} = {rng.randint(0, 9)}; {a} < {b}; {a}++)",
                                 f"int {a} = {b}[{c}];", f"{a}[{b}] = {c}[{d}];", f"{a} += {rng.randint(0, 120)};", f"while ({a} > {rng.randint(0, 20)} && {b} != '{rng.choice('abcxyz09')}')", "}", f"{a}++;", f"int {a}(const int *{b}, int {c})",
                                 f"/* {a} {b} {c} */", f"*{a} = '\\0';", f"return {a} ? {b} : -{c};", "else", f"}} else if ({a}) {{"])
    t = []  # what is shown is chance: loss -1, never learnt
    p = path()
    if rng.random() < 0.5:
        q = [path() for _ in range(rng.randint(1, 4))] + [p]
        rng.shuffle(q)
        t.append(("tool", "\n".join(sorted(q)), -1))
        t.append(("assistant", READ[0] + p + READ[1], 1))
    lines = [line() for _ in range(rng.randint(2, 7))]
    t.append(("tool", numbered(lines), -1))
    for _ in range(rng.choice([1, 1, 2])):
        k = rng.randrange(len(lines))
        last = rng.randint(k, len(lines) - 1)
        t.append(("assistant", EDIT[0] + p + EDIT[1] + str(k + 1) + TO + str(last + 1) + EDIT[2] + jstr("\n".join(lines[k:last + 1])) + EDIT[3], 1))
        t.append(("tool", f"edited {p}", 1))
        t.append(("assistant", f"Repaired it in {p}.", 1))
    if rng.random() < 0.5:
        t.insert(0, ("user", f"{rng.choice(['Look at', 'Open', 'Edit'])} {p}", 1))
    else:
        t.insert(0, ("assistant", READ[0] + p + READ[1], 0))
    return t

def projects(kinds, n, seed, held, wild=False):
    rng = random.Random(seed)
    while n:
        p = make_project(rng, kinds, held, wild)
        if p:
            n -= 1
            yield rng, p

def run_gate(p, root):
    env = dict(os.environ, LC_ALL="C")
    for k in ("MAKEFLAGS", "MAKELEVEL"):
        env.pop(k, None)
    r = subprocess.run(p["cmd"].split() if isinstance(p, dict) else p.cmd.split(), cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, timeout=30)
    return r.stdout.decode("utf-8", "replace"), r.returncode if r.returncode >= 0 else 128 - r.returncode

def write_files(files, root):
    for path, text in files.items():
        os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(root, path), "w") as f:
            f.write(text)

def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("mode")
    ap.add_argument("paths", nargs="+")
    ap.add_argument("--n", type=int, default=100)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--held", action="store_true")
    ap.add_argument("--show", action="store_true")
    ap.add_argument("--find", action="store_true", help="tokens: only up to the choice of the file")
    ap.add_argument("--plain", action="store_true", help="no made-up words")
    ap.add_argument("--short", action="store_true", help="tokens: only read and edit")
    o = ap.parse_args()
    global ODD, MORE_FILES
    ODD = not o.plain
    MORE_FILES = 0.5 if o.find else 0.25
    kinds = load(o.paths[0])
    if o.mode == "corpus":
        with open(o.paths[1], "w") as f:
            for rng, p in projects(kinds, o.n, o.seed, o.held):
                for role, text, _ in conversation(rng, p):
                    f.write(text + "\n")
    elif o.mode == "tokens":
        tok, total, long = Tokenizer(o.paths[1]), 0, 0
        with open(o.paths[2], "wb") as f:
            for rng, p in projects(kinds, o.n, o.seed, o.held, o.short):
                c = conversation(rng, p, o.short)
                t, w = to_tokens(tok, c[:3 + (c[0][0] == "user")] if o.find else c)
                if len(t) > 1000:
                    long += 1
                    continue
                total += len(t)
                f.write(struct.pack("<H", len(t)) + struct.pack(f"<{len(t)}H", *t) + bytes(w))
        print(f"{o.n} conversations, {total} tokens, {long} too long")
    elif o.mode == "drill":
        tok, total, rng = Tokenizer(o.paths[1]), 0, random.Random(o.seed)
        with open(o.paths[2], "wb") as f:
            for _ in range(o.n):
                t, w = to_tokens(tok, drill(rng))
                for i in range(len(t)): # which line is chance: nothing to learn there
                    if t[i] == tok.ids[EDIT[1]]:
                        k = i + 1
                        while t[k] != tok.ids[EDIT[2]]:
                            w[k] = w[k] if t[k] == tok.ids[TO] else 0
                            k += 1
                if len(t) < 1000:
                    total += len(t)
                    f.write(struct.pack("<H", len(t)) + struct.pack(f"<{len(t)}H", *t) + bytes(w))
        print(f"{o.n} drills, {total} tokens")
    elif o.mode == "tasks":
        with open(o.paths[1], "w") as f:
            for rng, p in projects(kinds, o.n, o.seed, o.held):
                f.write(json.dumps(dict(files=p.files, cmd=p.cmd, ask=p.ask, kind=p.kind["name"], cls=p.mut["cls"], src=p.src, line=p.line, good=p.good[p.line - 1], bad=p.bad[p.line - 1])) + "\n")
    elif o.mode == "verify":
        same = green = n = 0
        for rng, p in projects(kinds, o.n, o.seed, o.held):
            n += 1
            with tempfile.TemporaryDirectory() as root:
                write_files(p.files, root)
                text, code = run_gate(p, root)
                rows, want = evidence(p, p.mut["out"])
                if text == "\n".join(rows) + "\n" and code == want:
                    same += 1
                elif o.show or n - same < 4:
                    print("--- real", code, "\n" + text, "--- computed", want, "\n" + "\n".join(rows))
                time_bump = os.path.join(root, p.src)
                with open(time_bump, "w") as f:
                    f.write("\n".join(p.good) + "\n")
                for junk in (p.tname,):
                    if os.path.exists(os.path.join(root, junk)):
                        os.unlink(os.path.join(root, junk))
                text, code = run_gate(p, root)
                green += code == 0
                if code and (o.show or n - green < 4):
                    print("--- not green", text)
        print(f"evidence identical {same}/{n}, green after the right edit {green}/{n}")

if __name__ == "__main__":
    main()
