// Passkeys: hands the page's options to the browser, and the browser's answer to the form.

const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function readOptions(text) {
  const options = JSON.parse(text);
  options.challenge = toBytes(options.challenge);
  if (options.user) options.user.id = toBytes(options.user.id);
  for (const list of [options.allowCredentials, options.excludeCredentials]) {
    (list || []).forEach((one) => (one.id = toBytes(one.id)));
  }
  return options;
}

function writeAnswer(credential) {
  const response = {};
  for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[part]) response[part] = toText(credential.response[part]);
  }
  return JSON.stringify({
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    response,
    clientExtensionResults: {},
  });
}

async function ask(part, form) {
  const says = part.querySelector("[data-passkey-says]");
  says.textContent = "";
  try {
    const publicKey = readOptions(part.dataset.options);
    const { credentials } = navigator;
    const credential = await (part.dataset.passkey === "make" ? credentials.create({ publicKey }) : credentials.get({ publicKey }));
    form.elements.credential.value = writeAnswer(credential);
    form.submit();
  } catch {
    says.textContent = says.dataset.failed;
  }
}

if (window.PublicKeyCredential) {
  document.querySelectorAll("[data-without-passkey]").forEach((part) => (part.hidden = true));
  document.querySelectorAll("[data-passkey]").forEach((part) => {
    const form = part.closest("form");
    part.hidden = false;
    form.addEventListener("submit", (event) => {
      // The answer comes later, and then the form is sent without this event.
      event.preventDefault();
      event.stopPropagation();
      ask(part, form);
    });
  });
}
