"""What the clinic knows of a patient and the patient may see, correct, take along, or take back."""
