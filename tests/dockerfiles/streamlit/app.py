import streamlit

streamlit.title("Scores")
streamlit.line_chart({"loss": [3, 2, 1]})
