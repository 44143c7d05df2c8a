// The mail beside a text follows what is typed. Each look brings a new frame, so that the back button counts none of them.

const showMail = () => {
  const frame = document.querySelector('iframe[name="mail"]');
  const button = document.getElementById("show-mail");
  if (frame && button && !frame.hasAttribute("src")) button.form.requestSubmit(button);
};

document.addEventListener("htmx:after:settle", showMail);
showMail();
