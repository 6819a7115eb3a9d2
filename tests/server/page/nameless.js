() => [...document.querySelectorAll('button, input, select, textarea, summary, [tabindex="0"]')]
  .filter((one) => one.checkVisibility())
  .filter((one) => {
    const names = [one.getAttribute("aria-label"), one.labels?.[0]?.textContent, one.textContent];
    return !names.some((text) => text?.trim());
  })
  .map((one) => one.outerHTML.slice(0, 120))
