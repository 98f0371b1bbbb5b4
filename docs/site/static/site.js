// A tooltip closes with Escape, and can be kept open by moving the pointer onto it.
"use strict";
document.addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  for (const term of document.querySelectorAll(".term:hover, .term:focus-within")) {
    term.classList.add("closed");
    for (const end of ["mouseleave", "focusout"])
      term.addEventListener(end, () => term.classList.remove("closed"), { once: true });
  }
});
// One that would leave the window on the right moves to the left.
for (const opening of ["mouseover", "focusin"])
  document.addEventListener(opening, event => {
    const tip = event.target.closest(".term")?.querySelector(".tip");
    if (!tip) return;
    tip.style.left = "0";
    const beyond = tip.getBoundingClientRect().right - document.documentElement.clientWidth;
    if (beyond > -8) tip.style.left = `${-beyond - 8}px`;
  });
// A picture that is shown smaller than it is opens at its own size.
addEventListener("load", () => {
  for (const picture of document.querySelectorAll(".cell_output > img")) {
    if (picture.naturalWidth < 1.1 * picture.width) continue;
    const link = document.createElement("a");
    link.href = picture.src;
    picture.replaceWith(link);
    link.append(picture);
  }
});
