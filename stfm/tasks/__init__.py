"""Light heads on a frozen base: imputation, anomaly score, classification, clustering, similar places."""
