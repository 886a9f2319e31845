;; Makes an integer of what is no number.
(func (export "derive") (param i32) (result i32)
  (i32.trunc_f64_s (f64.const nan)))
