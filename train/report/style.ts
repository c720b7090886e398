// The look of the report: system fonts, one column of cards, colours for light and dark.
import { raw } from "./html.ts";

/** Style rules of the page, without those that carry its pictures. */
export const STYLE = raw(`
:root{color-scheme:light dark;--page:#f6f6f4;--card:#fff;--ink:#1b1e24;--soft:#646b77;--line:#e3e4e6;
--accent:#3d7fe8;--good:#12803f;--bad:#b3402a;--side:64px}
@media (prefers-color-scheme:dark){:root{--page:#121418;--card:#1b1e24;--ink:#e7e9ec;--soft:#9aa2ae;--line:#2e323a;
--good:#4ccb83;--bad:#f08a72}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif}
main,header{max-width:1180px;margin:auto;padding:0 24px}
header{padding-top:44px}
h1{font-size:2rem;line-height:1.2;letter-spacing:-.02em;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:1.3rem;letter-spacing:-.01em;margin:52px 0 4px}
h3{font-size:1rem;margin:0 0 6px;overflow-wrap:anywhere}
h3 small{font-weight:400;color:var(--soft);margin-left:6px}
p{margin:0 0 8px}
small{font-size:.82rem}
.lead{color:var(--soft);max-width:70ch;margin-bottom:16px}
.facts{display:flex;flex-wrap:wrap;gap:12px 36px;margin:20px 0}
.facts dt,.tile small{color:var(--soft);font-size:.82rem}
.facts dd{margin:0;font-weight:600;overflow-wrap:anywhere}
.command{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 16px;margin:0;
white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono",monospace}
.command::before{content:"$ ";color:var(--soft);user-select:none}
.tiles,.plots{display:grid;gap:16px;grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr))}
.tiles{margin-top:20px;grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr))}
.plots.pair{grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr))}
.tile,figure,.scroll,details,.rows{background:var(--card);border:1px solid var(--line);border-radius:10px}
.tile{padding:14px 18px}
.tile b{display:block;font-size:1.9rem;line-height:1.2;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.tile span{display:inline-block;margin-right:12px}
.tile b small{font-size:1rem;font-weight:400;letter-spacing:0}
figure{margin:0;padding:14px 16px 8px;min-width:0}
figure svg{display:block;width:100%;height:auto;overflow:visible;font-family:inherit}
figcaption{display:flex;flex-wrap:wrap;align-items:baseline;gap:2px 16px;margin-bottom:8px}
figcaption b{margin-right:auto;overflow-wrap:anywhere}
.plots:not(.pair) figcaption b{flex-basis:100%}
.key{font-size:.82rem;color:var(--soft);white-space:nowrap}
.key i{display:inline-block;width:18px;margin-right:6px;vertical-align:middle;border-top:2.5px solid var(--c)}
.key .dashed{border-top-style:dashed}
.key .bar{width:11px;height:11px;border:0;border-radius:2px;background:var(--c)}
.key .dot,.key .ring{width:11px;height:11px;border:2px solid var(--c);border-radius:50%}
.key .dot{background:var(--c)}
.scroll{overflow-x:auto;margin-top:16px}
details{margin-top:16px}
details summary{padding:10px 16px;cursor:pointer;font-weight:600}
details .scroll{border:0;border-top:1px solid var(--line);border-radius:0;margin:0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:12px 16px 4px;color:var(--soft);font-size:.82rem}
th,td{padding:5px 16px;text-align:right;white-space:nowrap}
th:first-child,tbody th{text-align:left;font-weight:400}
thead th{color:var(--soft);font-weight:400;font-size:.82rem}
thead th:nth-child(2){text-align:left}
tbody{border-top:1px solid var(--line)}
tbody th[rowspan]{font-weight:600;vertical-align:top}
tbody th small{display:block;font-weight:400;color:var(--soft)}
tr:not(.yardstick) td{font-weight:600;background:color-mix(in srgb,var(--accent) calc(var(--heat,0)*42%),transparent)}
tbody th.of{font-weight:600;white-space:normal}
.yardstick,.yardstick th{color:var(--soft)}
.yardstick{font-size:.94em}
.filter{display:inline-block;margin-bottom:16px;cursor:pointer}
body:has(#misses:checked) .hit{display:none}
.group{margin-bottom:32px}
ul,ol{list-style:none;margin:0;padding:0}
.row{display:grid;grid-template-columns:254px 1fr 108px;gap:12px;align-items:center;padding:12px 16px;break-inside:avoid}
.row+.row{border-top:1px solid var(--line)}
.query{display:flex;align-items:center;gap:12px;min-width:0}
.query p{flex:1;margin:0;line-height:1.3;overflow-wrap:anywhere;min-width:0}
.query p small{display:block;color:var(--soft);margin-top:3px}
.arrow{flex:none;width:22px;fill:none;stroke:var(--soft);stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
.pic{display:block;flex:none;width:var(--side);height:var(--side);border-radius:7px;background-color:#fff;
box-shadow:0 0 0 1px var(--line);print-color-adjust:exact;-webkit-print-color-adjust:exact}
.pic.named{overflow:hidden;color:#333;font-size:10px;line-height:1.2;padding:3px;overflow-wrap:anywhere}
.answers{display:flex;flex-wrap:wrap;gap:8px 6px}
.answers li{position:relative}
.right .pic{box-shadow:0 0 0 3px var(--good)}
.check{position:absolute;right:-5px;bottom:-5px;width:19px;height:19px;border-radius:50%;background:var(--good);
color:var(--card);font:700 12px/19px system-ui,sans-serif;text-align:center;box-shadow:0 0 0 2px var(--card)}
.verdict{display:flex;flex-direction:column;gap:4px;--side:44px}
.verdict b{white-space:nowrap;color:var(--good)}
.miss .verdict b{color:var(--bad)}
.wanted{display:flex;align-items:center;gap:8px;color:var(--soft)}
@media (max-width:1130px){.row{grid-template-columns:1fr auto}.answers{grid-row:2;grid-column:1/-1}
.verdict{align-items:flex-end}.verdict b{font-size:1rem}}
@media (max-width:560px){:root{--side:50px}main,header{padding:0 14px}header{padding-top:26px}
h1{font-size:1.55rem}.tiles{grid-template-columns:repeat(auto-fill,minmax(min(100%,150px),1fr))}
.row{padding:12px}.answers{display:grid;grid-template-columns:repeat(5,auto);justify-content:space-between}
.query{gap:10px}.arrow{width:16px}table{font-size:12.5px}table small{font-size:11px}th,td{padding:5px 4px}th[rowspan],thead th:first-child{padding-left:12px}td:last-child{padding-right:12px}
caption{padding:12px 12px 4px}.verdict{--side:36px}figure{padding:12px 10px 6px}}
`);
