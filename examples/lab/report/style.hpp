// The style sheet of the page: one palette for light, one for dark, light again on paper. The colours
// of series keep their order of lightness for colour-blind readers (after Okabe and Ito).
#pragma once

namespace lab {

inline constexpr const char* style_sheet = R"css(
:root{color-scheme:light dark;
--paper:#ffffff;--card:#f5f7f9;--ink:#1c2128;--soft:#57606a;--hair:#d5dbe1;--faint:#e9edf1;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b8860b;--c4:#a64d94;--beyond:#d55e0022;
--h0:#ffffff;--h1:#e4eef6;--h2:#c6dcec;--h3:#9cc3de;--h4:#5b9bc8;--h5:#f6b26b;--h6:#e07b28;
--h7:#a63f03;--mark:#1c2128}
@media (prefers-color-scheme:dark){:root{
--paper:#12161b;--card:#1b2129;--ink:#e4e8ec;--soft:#9aa5b1;--hair:#3a434e;--faint:#262d36;
--c0:#56b4e9;--c1:#ff9350;--c2:#3ccf9e;--c3:#e8c04c;--c4:#dd90c8;--beyond:#ff935026;
--h0:#12161b;--h1:#1a2836;--h2:#1f3b52;--h3:#265a80;--h4:#3a86b8;--h5:#b8742c;--h6:#e8923c;
--h7:#ffc887;--mark:#ffffff}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 .5rem;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.35rem;line-height:1.25;margin:3rem 0 .4rem;padding-top:1.2rem;
border-top:1px solid var(--hair)}
h3{font-size:1.05rem;margin:2rem 0 .2rem}
p{margin:.5rem 0;max-width:46rem}
.lead{color:var(--soft)}
code,.name{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{font-size:.88em;overflow-wrap:anywhere;unicode-bidi:isolate}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.75rem;
margin:1.5rem 0 0}
.facts div{background:var(--card);border-radius:.5rem;padding:.8rem 1rem}
.facts dt{color:var(--soft);font-size:.85rem}
.facts dd{margin:0;font-size:.85rem;color:var(--soft)}
.facts dd.value{font-size:1.35rem;font-weight:600;white-space:nowrap;color:var(--ink);line-height:1.3;
font-variant-numeric:tabular-nums}
figure,.wide{margin:1rem 0;overflow-x:auto}
svg{display:block;width:100%;min-width:40rem;height:auto;max-width:60rem}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;width:100%}
caption{text-align:left;color:var(--soft);padding:.3rem 0}
th,td{padding:.3rem .6rem;text-align:left;border-bottom:1px solid var(--faint);
unicode-bidi:isolate;vertical-align:top}
th{border-bottom-color:var(--hair);font-weight:600;vertical-align:bottom}
.n{text-align:right;white-space:nowrap}
th.n{white-space:normal}
td:first-child{white-space:nowrap}
tbody tr:hover{background:var(--card)}
details{margin:.6rem 0}
summary{cursor:pointer;color:var(--soft);font-size:.9rem}
details[open]>summary{margin-bottom:.3rem}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
fill:var(--ink)}
svg .name{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
font-size:11px}
svg .tick,svg .unit,svg .note,svg .legend{font-size:11px;fill:var(--soft);
font-variant-numeric:tabular-nums}
svg .legend{fill:var(--ink)}
.grid{stroke:var(--faint)}.rule{stroke:var(--faint)}.zero{stroke:var(--soft)}
.s0{--c:var(--c0)}.s1{--c:var(--c1)}.s2{--c:var(--c2)}.s3{--c:var(--c3)}.s4{--c:var(--c4)}
.bar{fill:var(--c)}
.dot{fill:var(--c)}
.ring{fill:none;stroke:var(--c);stroke-width:2}
.path{fill:none;stroke:var(--c);stroke-width:1.5}
.path.s1{stroke-dasharray:5 3}.path.s2{stroke-dasharray:1.5 3}.path.s3{stroke-dasharray:8 3 2 3}
.whisker{stroke:var(--ink);stroke-width:1.2;fill:none}
.outline{fill:none;stroke:var(--ink);stroke-width:1.2}
.beyond{fill:var(--beyond)}
.end{stroke:var(--c1);stroke-width:1.5;stroke-dasharray:4 2;fill:none}
.code{stroke:var(--hair);fill:none}
.h0{fill:var(--h0);stroke:var(--hair)}.h1{fill:var(--h1)}.h2{fill:var(--h2)}.h3{fill:var(--h3)}
.h4{fill:var(--h4)}.h5{fill:var(--h5)}.h6{fill:var(--h6)}.h7{fill:var(--h7)}
.mark{fill:var(--mark)}
@media print{:root{--paper:#ffffff;--card:#f5f7f9;--ink:#000000;--soft:#444444;--hair:#bbbbbb;
--faint:#e2e2e2;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b8860b;--c4:#a64d94;
--beyond:#d55e0022;--h0:#ffffff;--h1:#e4eef6;--h2:#c6dcec;--h3:#9cc3de;--h4:#5b9bc8;--h5:#f6b26b;
--h6:#e07b28;--h7:#a63f03;--mark:#000000}
body{font-size:10.5pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}
main{max-width:none;padding:0}
figure,.facts div,tr{break-inside:avoid}
h2,h3{break-after:avoid}
figure,.wide{overflow:visible}
svg{min-width:0}
.facts{grid-template-columns:repeat(5,1fr);gap:.4rem}.facts div{padding:.4rem .6rem}
.facts dt,.facts dd{font-size:7.5pt}.facts dd.value{font-size:12pt}
details:not([open]){display:none}
table{font-size:8pt}}
)css";

}  // namespace lab
