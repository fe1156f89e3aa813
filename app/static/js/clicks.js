// A double click is one click: what its first half does may move another button under the pointer before the second comes.

const DOUBLE_CLICK_MILLISECONDS = 500;
const DOUBLE_CLICK_PIXELS = 8;

let last = null;
let second = false;

document.addEventListener("click", (event) => {
  second = last !== null && event.timeStamp - last.timeStamp < DOUBLE_CLICK_MILLISECONDS
    && Math.hypot(event.clientX - last.clientX, event.clientY - last.clientY) < DOUBLE_CLICK_PIXELS;
  last = event;
}, true);

/** Whether the click that is being handled follows another one so closely that it was not meant for what it meets. */
export const isSecondHalf = () => second;
