"use strict";
// A click or Enter on a picture of the gallery enlarges it; the arrow keys walk along its row. Without this, all is still there.
const dialog = document.querySelector("dialog");
const large = dialog.querySelector("img");
let row = [];
let shown = 0;

function show(index) {
  shown = (index + row.length) % row.length;
  large.src = row[shown].src;
  large.alt = row[shown].alt;
  dialog.querySelector("p").textContent = row[shown].alt;
}

function enlarge(picture) {
  row = [...picture.closest(".shots").querySelectorAll("img")];
  show(row.indexOf(picture));
  dialog.showModal();
}

for (const picture of document.querySelectorAll(".shot img")) {
  picture.tabIndex = 0;
  picture.setAttribute("role", "button");
  picture.addEventListener("click", () => enlarge(picture));
  picture.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      enlarge(picture);
    }
  });
}

dialog.addEventListener("click", () => dialog.close());
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") show(shown + 1);
  if (event.key === "ArrowLeft") show(shown - 1);
});
