"""The few rules of appearance that Streamlit's theme has no setting for."""

from __future__ import annotations

import streamlit as st

_RULES = """
<style>
  /* The page begins near the top and uses the width. */
  [data-testid="stMainBlockContainer"] { padding: 3rem 2.5rem 4rem; max-width: 110rem; }
  [class*="st-key-frame_script_"] { display: none; }
  /* On paper there is nothing to choose. */
  @media print { [data-testid="stSidebar"], [data-testid="stHeader"] { display: none; } }
  /* Room for the controls, two side by side. */
  @media (min-width: 768px) { [data-testid="stSidebar"][data-collapsed="false"] { min-width: 22rem; } }
  /* Five kinds of source stand in one line. */
  [data-testid="stSidebar"] [data-testid="stButtonGroup"] button { padding-inline: 0.4rem; }
  /* Long names of metrics wrap instead of being cut off. */
  [data-testid="stMetricLabel"] p { white-space: normal; line-height: 1.2; }
  [data-testid="stMetricLabel"] { align-items: flex-start; min-height: 2.3rem; }
  /* A figure is never cut off: it is smaller where the card is narrow, and goes on in the next line. */
  [data-testid="stMetricValue"] { font-size: clamp(1.2rem, 1.75vw, 2rem); }
  [data-testid="stMetricValue"], [data-testid="stMetricValue"] * { white-space: normal; overflow: visible;
    text-overflow: clip; overflow-wrap: anywhere; }
  /* Small print and the words in figures stand out from the ground by 4.5 to 1 and more: Streamlit's own do not. */
  [data-testid="stCaptionContainer"] { opacity: 0.85; }
  .js-plotly-plot text[style*="rgb(128, 132, 149)"] { fill: #5A6275 !important; }
  /* The words of code too, of which Streamlit's stand out by 2 to 1 in places. */
  .token:is(.keyword, .function, .class-name, .property) { color: light-dark(#0968AA, #4FA8E0) !important; }
  .token:is(.string, .char) { color: light-dark(#00704D, #35C492) !important; }
  .token:is(.number, .boolean, .constant) { color: light-dark(#0B6A60, #41C3AE) !important; }
  .token:is(.operator, .decorator) { color: light-dark(#A8420F, #F0873E) !important; }
  .token:is(.comment, .punctuation) { color: light-dark(#5A6275, #9AA3B5) !important; }
  /* On the lighter blue of the dark theme, white would stand out by 2.6 to 1. */
  [data-testid="stBaseButton-primary"], [data-testid="stMultiSelect"] span[title] {
    color: light-dark(#FFFFFF, #11151C) !important; }
  /* What is pressed is 24 pixels high at least (WCAG 2.2, 2.5.8). */
  [data-testid="stMultiSelect"] button[aria-label="Clear all"] { min-width: 1.75rem; min-height: 1.75rem; }
  /* Where the keyboard is, is boxed: a grey ground alone does not show it. */
  a:focus-visible, label:has(input[role="switch"]:focus-visible),
  [data-testid="stElementToolbar"] button:focus-visible {
    outline: 2px solid light-dark(#0968AA, #4FA8E0) !important; outline-offset: 1px; border-radius: 4px; }
  /* A way out where no script of a figure could run. */
  [data-testid="stApp"]:not(:has([class*="st-key-figure_"] .stBidiComponent [data-testid="stAlertContainer"]))
    .st-key-draw_anew { display: none; }
  /* A link with a long name goes on in the next line. */
  [data-testid="stMain"] [data-testid="stPageLink"] p { white-space: normal; overflow-wrap: anywhere; }
  /* A finger does not hover: the bar over a figure would never go, and lies on its legend; that over a table never
     goes, and has room of its own. */
  @media (hover: none) {
    .js-plotly-plot .modebar-container { display: none; }
    [data-testid="stElementContainer"]:has([data-testid="stDataFrame"]) { margin-top: 2rem; }
  }
  @media (max-width: 640px) {
    [data-testid="stMainBlockContainer"] { padding: 3rem 1rem 4rem; }
    .st-key-learn_numbers [data-testid="stColumn"] { min-width: 28%; flex: 1 1 28%; }
    .qv-passages > div { grid-template-columns: 1fr !important; }
    .qv-passages > div > * { grid-column: 1 !important; grid-row: auto !important; }
    /* A row of choices that is too wide for the screen goes on in the next line, at its own width. */
    [data-testid="stButtonGroup"] button { padding-inline: 0.5rem; }
  }
  /* Passages that models continue; what differs is boxed and underlined, so that it shows without its colour. */
  .qv-passages > div { display: grid; grid-template-columns: 11rem 1fr; gap: 0 1.25rem; padding: 0.55rem 0;
    border-top: 1px solid rgba(128, 128, 128, 0.25); }
  .qv-scheme { font-weight: 600; overflow-wrap: anywhere; }
  .qv-agrees { grid-column: 1; font-size: 0.85rem; opacity: 0.75; }
  .qv-text { grid-column: 2; grid-row: 1 / span 2; overflow-wrap: anywhere; line-height: 1.55; }
  .qv-prompt { opacity: 0.6; }
  .qv-text mark { color: inherit; background: rgba(228, 102, 42, 0.16); border-radius: 3px; padding: 0 1px;
    box-shadow: inset 0 0 0 1px rgba(228, 102, 42, 0.45); text-decoration: underline dotted; text-underline-offset: 3px;
    -webkit-box-decoration-break: clone; box-decoration-break: clone; }
</style>
"""


def style() -> None:
    st.html(_RULES)
